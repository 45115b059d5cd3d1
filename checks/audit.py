"""``python -m checks.audit``: known vulnerabilities of all that is locked. Where nobody can be asked, it says so.

An index that stands for another often knows no vulnerabilities, and pip-audit takes that for good news. So each service
is first asked about a release that all know to be vulnerable; one that has nothing to say of it is not believed.
"""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

from uv import find_uv_bin

from checks.errors import NOT_DONE, told
from checks.table import PROJECT

# How pip-audit is told which one, and where it is.
type Service = tuple[str, ...]

# Given up by its makers in 2013, and known to be vulnerable ever since.
_KNOWN_TO_BE_VULNERABLE = "pycrypto==2.6.1"
_SERVICES: tuple[Service, ...] = (("pypi",), ("osv",))
_ANSWER_SECONDS = 5
_CANARY_SECONDS, _AUDIT_SECONDS = 10, 60
_CACHE = PROJECT / ".tools" / "cache" / "audit"


def locked(project: Path) -> Iterator[str]:
    """Return the requirements of the default groups, and of each other group what it has beside them.

    Other groups are installed by themselves, and may have other versions of the same.
    """
    seen: set[str] = set()
    export = [find_uv_bin(), "export", "--quiet", "--frozen", "--no-emit-project", "--no-hashes", "--no-annotate"]
    settings = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))
    others = settings["dependency-groups"].keys() - settings["tool"]["uv"]["default-groups"]
    for chosen in ([], *(["--only-group", group] for group in sorted(others))):
        exported = subprocess.run(
            [*export, *chosen], cwd=project, stdout=subprocess.PIPE, text=True, check=True
        ).stdout.splitlines()
        yield "\n".join(line for line in exported if line not in seen)
        seen.update(exported)


def believed_service(osv_url: str | None) -> Service | None:
    """Return a service that knows of the one release, if any can be reached."""
    for service in [("osv", "--osv-url", osv_url)] if osv_url else _SERVICES:
        asked = _ask(service, _KNOWN_TO_BE_VULNERABLE, _CANARY_SECONDS)
        if asked is not None and any(dependency.get("vulns") for dependency in asked):
            return service
    return None


def complaints(asked: Sequence[dict[str, Any]]) -> set[str]:
    """Return each vulnerability once."""
    return {
        f"{dependency['name']} {dependency['version']}: {vulnerability['id']}, "
        f"mended in {', '.join(vulnerability['fix_versions']) or 'no release'}"
        for dependency in asked
        for vulnerability in dependency.get("vulns", ())
    }


def _ask(service: Service, requirements: str, seconds: float) -> list[dict[str, Any]] | None:
    """Return what a service says of each requirement; None where it cannot be asked."""
    with TemporaryDirectory() as folder:
        file = Path(folder, "requirements.txt")
        file.write_text(requirements, "utf-8")
        command = [
            sys.executable, "-m", "pip_audit", "--vulnerability-service", *service, "--timeout", str(_ANSWER_SECONDS),
            "--cache-dir", str(_CACHE), "--requirement", str(file), "--no-deps", "--disable-pip", "--desc", "off",
            "--progress-spinner", "off", "--format", "json",
        ]  # fmt: skip
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
            asked: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
        except (subprocess.TimeoutExpired, ValueError):
            return None
    return asked


def main() -> None:
    """Tell what is vulnerable, or that nobody could be asked."""
    service = believed_service(os.environ.get("OSV_URL"))
    if service is None:
        _give_up(
            f"neither PyPI nor OSV could be asked from here, or what answers in their place does not know that "
            f"{_KNOWN_TO_BE_VULNERABLE} is vulnerable. OSV_URL names another place that answers as OSV does."
        )
    # pip-audit takes one release of a package at a time, and asks about one after the other.
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda requirements: _ask(service, requirements, _AUDIT_SECONDS), locked(PROJECT)))
    asked = [dependency for answer in answers for dependency in answer or ()]
    told(sorted(complaints(asked)))
    if None in answers:
        _give_up(f"{service[0]} did not answer for all that is locked.")
    if passed_over := sorted({dependency["name"] for dependency in asked if "skip_reason" in dependency}):
        _give_up(f"{service[0]} does not know {', '.join(passed_over)}.")


def _give_up(reason: str) -> NoReturn:
    print(f"NOT AUDITED: {reason}")
    sys.exit(NOT_DONE)


if __name__ == "__main__":
    main()
