"""SweepFunction as AWS runs it: cold, in a process of its own."""

import multiprocessing
import os
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path

_PROCESSES = multiprocessing.get_context("spawn")
_INVOCATION_SECONDS = 120.0


def swept_in(environment: Mapping[str, str], log: Path) -> float:
    """Return the seconds that one sweep takes with these variables, its imports included; ``log`` gets its lines."""
    pipe, theirs = _PROCESSES.Pipe()
    process = _PROCESSES.Process(target=_sweep, args=(theirs, dict(environment), log), daemon=True)
    process.start()
    seconds: float = pipe.recv()
    process.join()
    return seconds


class _Invocation:
    function_name = "SweepFunction"
    memory_limit_in_mb = 1769
    invoked_function_arn = "arn:aws:lambda:us-east-1:000000000000:function:SweepFunction"
    aws_request_id = "invocation"

    def get_remaining_time_in_millis(self) -> int:
        return int(_INVOCATION_SECONDS * 1000)


def _sweep(pipe: Connection, environment: dict[str, str], log: Path) -> None:
    os.environ.update(environment)
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT), 1)
    began = time.monotonic()
    from functions.sweep.handler import handler  # as in AWS, the environment is there before the handler

    handler({}, _Invocation())
    pipe.send(time.monotonic() - began)
