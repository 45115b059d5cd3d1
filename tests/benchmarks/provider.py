"""The embedding provider of the benchmarks: the tests' own server, in a process of its own."""

import multiprocessing
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Self

from tests.ollama_server import OllamaServer

_PROCESSES = multiprocessing.get_context("spawn")


@dataclass(frozen=True, slots=True)
class CallSeen:
    """One call as the provider saw it; moments are those of the machine's monotonic clock."""

    texts: tuple[str, ...]
    started: float
    ended: float


class Provider:
    """A server with these options of OllamaServer's. A context manager.

    What it computes takes no time from the process that calls it, other than from its processor.
    """

    def __init__(self, **options: Any) -> None:
        self._pipe, theirs = _PROCESSES.Pipe()
        self._process = _PROCESSES.Process(target=_serve, args=(theirs, options), name="provider", daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        self.url: str = self._pipe.recv()
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.send("end")
        self._process.join()

    def new_calls(self) -> list[CallSeen]:
        """Return the calls since this was last asked, in the order of their ends."""
        self._pipe.send("new calls")
        return list(self._pipe.recv())


def busy_seconds(calls: Sequence[CallSeen]) -> float:
    """Return for how long at least one of the calls was under way."""
    busy, until = 0.0, float("-inf")
    for call in sorted(calls, key=lambda call: call.started):
        busy += max(0.0, call.ended - max(call.started, until))
        until = max(until, call.ended)
    return busy


def _serve(pipe: Connection, options: dict[str, Any]) -> None:
    with OllamaServer(**options) as server:
        pipe.send(server.url)
        told = 0
        while pipe.recv() == "new calls":
            calls = server.calls
            pipe.send([CallSeen(call.texts, call.started, call.ended) for call in calls[told:]])
            told = len(calls)
