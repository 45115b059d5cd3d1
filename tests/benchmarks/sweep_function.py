"""SweepFunction as AWS runs it: cold, in a process of its own."""

import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path

from tests.benchmarks.execution_environment import ExecutionEnvironment, Invocation

_INVOCATION_SECONDS = 120.0


def swept_in(variables: Mapping[str, str], log: Path) -> float:
    """Return the seconds that one sweep takes with these variables, its imports included; ``log`` gets its lines."""
    with ExecutionEnvironment(_serve, variables, log) as environment:
        environment.send({})
        seconds: float = environment.receive()
    return seconds


def _serve(pipe: Connection) -> None:
    while (event := pipe.recv()) is not None:
        began = time.monotonic()
        from functions.sweep.handler import handler

        handler(event, Invocation("SweepFunction", _INVOCATION_SECONDS))
        pipe.send(time.monotonic() - began)
