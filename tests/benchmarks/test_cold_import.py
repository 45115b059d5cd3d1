"""What a cold start imports before a function can do anything, in fresh processes."""

import os
import re
import subprocess
import sys
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


def _import_seconds(module: str) -> float:
    """Return how long a fresh process takes to import the module, by the interpreter's own account."""
    command = [sys.executable, "-X", "importtime", "-c", f"import {module}"]
    done = subprocess.run(command, cwd=PROJECT, env=_ENVIRONMENT, capture_output=True, text=True, check=True)
    (microseconds,) = re.findall(rf"^import time: +\d+ \| +(\d+) \| {re.escape(module)}$", done.stderr, re.MULTILINE)
    return int(microseconds) / 1_000_000


@pytest.mark.parametrize(("function", "at_most"), [("api", 0.30), ("embed", 0.35)])
def test_cold_import(record: Record, function: str, at_most: float) -> None:
    module = f"functions.{function}.handler"
    _import_seconds(module)  # whatever is compiled for the first time
    seconds = [_import_seconds(module) for _ in range(_PROCESSES)]
    record(
        f"cold import of the {function} handler",
        median(seconds),
        "s",
        at_most=at_most,
        seconds=[round(value, 3) for value in seconds],
    )
