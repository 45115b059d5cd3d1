"""What a cold start imports before a function can do anything, in fresh processes."""

import os
import re
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest

from tests.benchmarks.figures import Record
from tests.e2e.system import PROJECT

_PROCESSES = 5
_ENVIRONMENT = {
    "PYTHONPATH": os.pathsep.join((str(PROJECT / "layers/core"), str(PROJECT))),
    "DATABASE_URL": "postgresql://unused",
    "EMBED_QUEUE_URL": "https://unused",
}


def _import_seconds(module: str, account: Path) -> float:
    """Return how long a fresh process takes to import the module, by the interpreter's own account."""
    command = [sys.executable, "-X", "importtime", "-c", f"import {module}"]
    with account.open("wb") as file:  # a pipe's reader would want a processor meanwhile
        subprocess.run(command, cwd=PROJECT, env=_ENVIRONMENT, stderr=file, check=True)
    line = rf"^import time: +\d+ \| +(\d+) \| {re.escape(module)}$"
    (microseconds,) = re.findall(line, account.read_text(), re.MULTILINE)
    return int(microseconds) / 1_000_000


@pytest.mark.parametrize(("function", "at_most"), [("api", 0.30), ("search", None), ("embed", 0.35)])
def test_cold_import(record: Record, tmp_path: Path, function: str, at_most: float | None) -> None:
    module, account = f"functions.{function}.handler", tmp_path / "imports.txt"
    _import_seconds(module, account)  # whatever is compiled for the first time
    seconds = [_import_seconds(module, account) for _ in range(_PROCESSES)]
    record(
        f"cold import of the {function} handler",
        median(seconds),
        "s",
        at_most=at_most,
        seconds=[round(value, 3) for value in seconds],
    )
