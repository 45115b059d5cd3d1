"""Working off a queue: so many processes with a connection each, begun together, and the jobs they do a second."""

import multiprocessing
from collections.abc import Awaitable, Callable, Coroutine
from multiprocessing.synchronize import Barrier
from typing import Any, NamedTuple

import uvloop

_PROCESSES = multiprocessing.get_context("spawn")
_TIMEOUT_SECONDS = 60.0
_JOBS = 1_000
_CONNECTIONS = (1, 4)


class Span(NamedTuple):
    """How many jobs one process did, and from when to when; moments are those of the machine's monotonic clock."""

    jobs: int
    began: float
    ended: float


# Enqueues so many jobs.
type Fill = Callable[[str, int], Awaitable[None]]
# Works off what is there, on one connection; calls its second argument when that is open, and begins when it returns.
type Drain = Callable[[str, Callable[[], None]], Awaitable[Span]]


# Runs a coroutine to its end on an event loop of some kind.
type Run = Callable[[Coroutine[Any, Any, Span]], Span]


def figures(fill: Fill, drain: Drain, database_url: str, run: Run = uvloop.run) -> list[dict[str, Any]]:
    """Return the jobs a second for each number of connections."""
    return [
        {
            "connections": connections,
            "jobs": _JOBS,
            "jobs_per_second": round(_rate(fill, drain, database_url, run, connections), 1),
        }
        for connections in _CONNECTIONS
    ]


def _rate(fill: Fill, drain: Drain, database_url: str, run: Run, connections: int) -> float:
    async def filled() -> None:
        await fill(database_url, _JOBS)

    uvloop.run(filled())
    barrier = _PROCESSES.Barrier(connections, timeout=_TIMEOUT_SECONDS)
    results: Any = _PROCESSES.Queue()
    processes = [
        _PROCESSES.Process(target=_work, args=(drain, database_url, run, barrier, results), daemon=True)
        for _ in range(connections)
    ]
    for process in processes:
        process.start()
    spans: list[Span] = [results.get(timeout=_TIMEOUT_SECONDS) for _ in processes]
    for process in processes:
        process.join()
    assert sum(span.jobs for span in spans) == _JOBS
    return _JOBS / (max(span.ended for span in spans) - min(span.began for span in spans))


def _work(drain: Drain, database_url: str, run: Run, barrier: Barrier, results: Any) -> None:
    def begin() -> None:
        barrier.wait()

    async def work() -> Span:
        return await drain(database_url, begin)

    results.put(run(work()))
