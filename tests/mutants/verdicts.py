"""What became of the mutants, and which survivors are explained."""

import json
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path

_EXPLANATIONS = Path(__file__).with_name("survivors.toml")
# The others are "survived", "no tests", and whatever a person should look at, as "suspicious".
_DETECTED = ("killed", "timeout")


@dataclass(frozen=True, slots=True)
class Survivor:
    """A mutant that no test detected: where, and the lines that it changes."""

    function: str
    change: str
    verdict: str = field(default="survived", compare=False)


@dataclass(frozen=True)
class Verdicts:
    """Of all mutants that ran."""

    total: int
    survivors: tuple[Survivor, ...]
    reasons: frozenset[Survivor]

    @property
    def detected(self) -> int:
        """How many some test noticed, or would not end with."""
        return self.total - len(self.survivors)

    @property
    def score(self) -> float:
        """The share of them, 0 to 1."""
        return self.detected / self.total

    @cached_property
    def explained(self) -> tuple[Survivor, ...]:
        """The survivors that have a reason."""
        return tuple(survivor for survivor in self.survivors if survivor in self.reasons)

    @cached_property
    def unexplained(self) -> tuple[Survivor, ...]:
        """The others."""
        return tuple(survivor for survivor in self.survivors if survivor not in self.reasons)

    @cached_property
    def outdated(self) -> tuple[Survivor, ...]:
        """What has a reason and did not survive, or is no longer made."""
        return tuple(sorted(self.reasons - set(self.survivors), key=lambda mutant: (mutant.function, mutant.change)))


def keep_detected(mutmut: Path, folder: Path) -> int:
    """Make mutmut forget what it noted in ``folder`` on mutants not detected, so that it tries them again.

    Returns how many others there are.
    """
    detected = {name for name, verdict in _noted(mutmut, folder) if verdict in _DETECTED}
    for place in folder.rglob("*.meta"):
        notes = json.loads(place.read_text())
        codes = notes["exit_code_by_key"]
        notes["exit_code_by_key"] = {name: code if name in detected else None for name, code in codes.items()}
        place.write_text(json.dumps(notes))
    return len(detected)


def read_verdicts(mutmut: Path, folder: Path, pattern: str) -> Verdicts:
    """Return what mutmut noted in ``folder`` on the mutants whose name fits the pattern."""
    verdicts = {name: verdict for name, verdict in _noted(mutmut, folder) if fnmatch(name, pattern)}
    survivors = ((name, verdict) for name, verdict in verdicts.items() if verdict not in _DETECTED)
    return Verdicts(
        len(verdicts),
        tuple(
            Survivor(_function(name), changed_lines(_ask(mutmut, folder, "show", name)), verdict)
            for name, verdict in survivors
        ),
        frozenset(reason for reason in _explained() if fnmatch(reason.function, pattern)),
    )


def changed_lines(diff: str) -> str:
    """Return a diff's removed and added lines, without their indentation."""
    lines = (line for line in diff.splitlines() if line[:1] in ("-", "+") and line[:3] not in ("---", "+++"))
    return "\n".join(f"{line[0]} {line[1:].strip()}" for line in lines)


def _explained() -> Iterator[Survivor]:
    for reason in tomllib.loads(_EXPLANATIONS.read_text())["reason"]:
        for mutant in reason["mutants"]:
            yield Survivor(mutant["function"], mutant["change"].strip())


def _function(name: str) -> str:
    return name.partition("__mutmut_")[0].replace("xǁ", "").replace("ǁ", ".").replace(".x_", ".")


def _noted(mutmut: Path, folder: Path) -> Iterator[tuple[str, str]]:
    for line in _ask(mutmut, folder, "results", "--all", "true").splitlines():
        name, _, verdict = line.strip().rpartition(": ")
        yield name, verdict


def _ask(mutmut: Path, folder: Path, *question: str) -> str:
    return subprocess.run([mutmut, *question], cwd=folder, capture_output=True, text=True, check=True).stdout
