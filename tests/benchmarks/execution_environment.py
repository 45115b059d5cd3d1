"""An execution environment as AWS keeps one: a warm process of its own that serves a function's handler."""

import multiprocessing
import os
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

_PROCESSES = multiprocessing.get_context("spawn")

# Receives events until None comes, and sends what comes of each. It imports the handler, as AWS does, once the
# environment is there.
type Serve = Callable[[Connection], None]


class ExecutionEnvironment:
    """One process with these variables, for one event at a time. A context manager; its log goes nowhere, or to a file.

    ``serve`` runs in it, and has to be a function of a module.
    """

    def __init__(self, serve: Serve, variables: Mapping[str, str], log: Path | None = None) -> None:
        self._pipe, theirs = _PROCESSES.Pipe()
        self._process = _PROCESSES.Process(target=_run, args=(serve, theirs, dict(variables), log), daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.send(None)
        self._process.join()

    def send(self, event: Any) -> None:
        """Hand an event over; what comes of it is to be received before the next one."""
        self._pipe.send(event)

    def receive(self) -> Any:
        """Return what came of the event, once it did."""
        return self._pipe.recv()


class Invocation:
    """The context that a handler is called with, of an invocation that begins now."""

    memory_limit_in_mb = 1024
    aws_request_id = "invocation"

    def __init__(self, function_name: str, seconds: float) -> None:
        self.function_name = function_name
        self.invoked_function_arn = f"arn:aws:lambda:us-east-1:000000000000:function:{function_name}"
        self._ends_at = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        """Return how long it may go on."""
        return int((self._ends_at - time.monotonic()) * 1000)


def _run(serve: Serve, pipe: Connection, variables: dict[str, str], log: Path | None) -> None:
    os.environ.update(variables)
    os.dup2(os.open(log or os.devnull, os.O_WRONLY | os.O_CREAT), 1)
    serve(pipe)
