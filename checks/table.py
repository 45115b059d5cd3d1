"""Every check: its name, what it asks, and the command. The longest come first, so that the others fill the rest."""

import sys
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
_PROGRAMS = Path(sys.executable).parent
_CHECKOV = PROJECT / ".tools" / "checkov" / "bin" / "checkov"
_MIGRATIONS = sorted(str(path.relative_to(PROJECT)) for path in (PROJECT / "migrations").glob("*.sql"))


@dataclass(frozen=True)
class Check:
    """One check."""

    name: str
    what: str
    command: tuple[str, ...]


def _program(name: str, what: str, program: str, *arguments: str) -> Check:
    return Check(name, what, (str(_PROGRAMS / program), *arguments))


def _module(name: str, what: str) -> Check:
    return Check(name, what, (sys.executable, "-m", f"checks.{name}"))


CHECKS = (
    _program("types", "mypy --strict, tests too", "mypy"),
    _program("sql", "named statements, by sqlfluff", "sqlfluff", "lint", "--disable-progress-bar", "layers", "tests"),
    Check("checkov", "the template's security", (str(_CHECKOV), "--config-file", ".checkov.yaml")),
    _program("template", "the template, by SAM and cfn-lint", "sam", "validate", "--lint"),
    _module("audit", "known vulnerabilities of what is locked, by pip-audit"),
    _program("bandit", "insecure Python", "bandit", "--quiet", "--recursive", "--configfile", "pyproject.toml",
             "checks", "deploy", "docs", "functions", "layers", "local"),
    _module("dead_code", "code and statements that nothing uses, by vulture"),
    _module("pages", "commands, files and links of README and docs"),
    _program("imports", "who may import whom", "lint-imports"),
    _program("style", "ruff's rules", "ruff", "check"),
    _program("format", "ruff's format", "ruff", "format", "--check"),
    _program("migrations", "locks and lost compatibility, by squawk", "squawk", *_MIGRATIONS),
    _program("shell", "shell scripts, by shellcheck", "shellcheck", ".ci/run"),
    _module("files", "JSON, YAML and TOML that can be read"),
)  # fmt: skip
