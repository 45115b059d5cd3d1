"""pgqueuer's queue on psycopg and asyncpg. ``python -m … throughput DATABASE_URL`` or ``latency DATABASE_URL``.

Jobs are claimed and finished by what its worker calls, ``dequeue`` and ``log_jobs``, one job a call: as a worker with
``batch_size=1`` does, whose buffer of finished jobs is that size too. On uvloop, which its command line runs it on.
"""

import asyncio
import json
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from functools import partial
from importlib.metadata import version
from typing import Any

import asyncpg
import psycopg
import uvloop
from pgqueuer.db import AsyncpgDriver, PsycopgDriver
from pgqueuer.ports.repository import EntrypointExecutionParameter
from pgqueuer.qm import QueueManager
from pgqueuer.queries import Queries

from tests.benchmarks.rivals.draining import Span, figures
from tests.benchmarks.rivals.waking import Waking

_ENTRYPOINT = "noop"
_LIBRARY = {"library": "pgqueuer", "version": version("pgqueuer")}
_HEARTBEAT_TIMEOUT = timedelta(seconds=30)  # its default

type Connect = Callable[[str], AbstractAsyncContextManager[Any]]


@asynccontextmanager
async def _on_psycopg(database_url: str) -> AsyncIterator[Any]:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        yield PsycopgDriver(connection)


@asynccontextmanager
async def _on_asyncpg(database_url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(database_url)
    try:
        yield AsyncpgDriver(connection)
    finally:
        await connection.close()


_DRIVERS: dict[str, Connect] = {"psycopg": _on_psycopg, "asyncpg": _on_asyncpg}


async def _install(database_url: str) -> None:
    async with _on_asyncpg(database_url) as driver:
        queries = Queries(driver)
        if not await queries.schema_is_installed():
            await queries.install()


async def _fill(database_url: str, jobs: int) -> None:
    await _install(database_url)
    async with _on_asyncpg(database_url) as driver:
        await Queries(driver).enqueue([_ENTRYPOINT] * jobs, [None] * jobs, [0] * jobs)
        await driver.execute("VACUUM (ANALYZE) pgqueuer, pgqueuer_log")


async def _drain(connect: Connect, database_url: str, begin: Callable[[], None]) -> Span:
    jobs = 0
    async with connect(database_url) as driver:
        queries, me = Queries(driver), uuid.uuid4()
        entrypoints = {_ENTRYPOINT: EntrypointExecutionParameter(concurrency_limit=0)}
        await driver.fetch("SELECT 1")
        begin()
        began = time.monotonic()
        while claimed := await queries.dequeue(1, entrypoints, me, None, _HEARTBEAT_TIMEOUT):
            await queries.log_jobs([(claimed[0], "successful", None)])
            jobs += 1
        return Span(jobs, began, time.monotonic())


def throughput(database_url: str) -> list[dict[str, Any]]:
    """Return the jobs a second on each driver for each number of connections."""
    return [
        {**_LIBRARY, "driver": driver, "how": "calls", **measured}
        for driver, connect in _DRIVERS.items()
        for measured in figures(_fill, partial(_drain, connect), database_url)
    ]


async def latency(database_url: str) -> list[dict[str, Any]]:
    """Return how soon its worker begins a job, on asyncpg.

    On psycopg its statements wait for its own listening on the same connection, up to a second each: no fair figure.
    """
    await _install(database_url)
    waking = Waking()

    async def begin(job: object) -> None:
        waking.begun()

    async with _on_asyncpg(database_url) as driver, _on_asyncpg(database_url) as client:
        manager = QueueManager(Queries(driver))
        manager.entrypoint("begin")(begin)
        worker = asyncio.create_task(manager.run(batch_size=1))
        await waking.measure(partial(Queries(client).enqueue, "begin", None))
        manager.shutdown.set()
        await worker
    return [{**_LIBRARY, "driver": "asyncpg", **waking.figures()}]


if __name__ == "__main__":
    _, what, url = sys.argv
    print(json.dumps(throughput(url) if what == "throughput" else uvloop.run(latency(url))))
