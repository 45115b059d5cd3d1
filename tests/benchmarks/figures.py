"""What `make bench` measures: each figure with the bound it has to keep and what stands beside it."""

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results")


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a run. ``beside``: the same figure of others, taken in the same run, by their names."""

    figure: str
    value: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None
    beside: Mapping[str, float] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    run: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_bounded(self) -> bool:
        """Whether there is a bound to keep."""
        return self.at_most is not None or self.at_least is not None

    @property
    def holds(self) -> bool:
        """Whether the figure keeps its bounds; one without any does."""
        return (self.at_most is None or self.value <= self.at_most) and (
            self.at_least is None or self.value >= self.at_least
        )

    def as_line(self) -> str:
        """Return the figure as one line of JSON."""
        said = {name: value for name, value in asdict(self).items() if value not in (None, {})}
        if self.is_bounded:
            said["holds"] = self.holds
        return json.dumps(said, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Record:
    """Keeps figures of one run, and tells each as it is taken."""

    run: Mapping[str, Any]
    tell: Callable[[Figure], None]
    figures: list[Figure] = field(default_factory=list)

    def __call__(
        self,
        figure: str,
        value: float,
        unit: str,
        *,
        at_most: float | None = None,
        at_least: float | None = None,
        beside: Mapping[str, float] | None = None,
        **details: Any,
    ) -> None:
        taken = Figure(figure, round(value, 4), unit, at_most, at_least, beside or {}, details, self.run)
        self.figures.append(taken)
        self.tell(taken)


def read_figure(line: str) -> Figure:
    """Return the figure of a line that :meth:`Figure.as_line` wrote."""
    said = json.loads(line)
    said.pop("holds", None)
    return Figure(**said)


@cache
def this_run() -> dict[str, Any]:
    """Return when, on what machine and for which commit the figures of this process are taken."""
    changed = "+" if _git("status", "--porcelain", "--", ":/layers") else ""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": _git("rev-parse", "--short", "HEAD") + changed,
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
    }


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=RESULTS.parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""  # an unpacked archive has no history
    return done.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return "an unknown processor"
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
