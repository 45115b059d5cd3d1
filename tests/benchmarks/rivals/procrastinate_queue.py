"""procrastinate's queue. ``python -m … throughput DATABASE_URL`` or ``latency DATABASE_URL``.

Measured twice. Its worker, as its own command runs it: on asyncio, with its own pool, which checks a connection before
each use. And what that worker calls for claiming and finishing, ``fetch_job`` and ``finish_job``, on uvloop and with a
pool of one connection that is not checked: faster than anybody's worker of it is.
"""

import asyncio
import json
import logging
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import procrastinate
import psycopg
import uvloop
from procrastinate.jobs import Status
from psycopg_pool import AsyncConnectionPool

from tests.benchmarks.rivals.draining import Span, figures
from tests.benchmarks.rivals.waking import Waking

_TASK = "noop"
_LIBRARY = {"library": "procrastinate", "version": version("procrastinate"), "driver": "psycopg"}


@asynccontextmanager
async def opened(database_url: str, connections: int = 1) -> AsyncIterator[procrastinate.App]:
    """Yield an app with its schema in place and so many connections."""
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=database_url))
    async with (
        AsyncConnectionPool(database_url, min_size=connections, max_size=connections, open=False) as pool,
        app.open_async(pool),
    ):
        if not await app.check_connection_async():
            await app.schema_manager.apply_schema_async()
        yield app


async def _nothing() -> None:
    pass


async def _fill(database_url: str, jobs: int) -> None:
    async with opened(database_url) as app:
        task = app.task(_nothing, name=_TASK)
        await task.batch_defer_async(*({} for _ in range(jobs)))
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute("VACUUM (ANALYZE) procrastinate_jobs, procrastinate_events")


async def _work_off(database_url: str, begin: Callable[[], None]) -> Span:
    jobs = 0
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=database_url))

    async def count() -> None:
        nonlocal jobs
        jobs += 1

    app.task(count, name=_TASK)
    logging.getLogger("procrastinate").setLevel(logging.CRITICAL)
    async with app.open_async():
        await app.check_connection_async()
        begin()
        began = time.monotonic()
        await app.run_worker_async(wait=False, concurrency=1, install_signal_handlers=False)
        return Span(jobs, began, time.monotonic())


async def _drain(database_url: str, begin: Callable[[], None]) -> Span:
    jobs = 0
    async with opened(database_url) as app:
        worker = await app.job_manager.register_worker()
        begin()
        began = time.monotonic()
        while job := await app.job_manager.fetch_job(queues=None, worker_id=worker):
            await app.job_manager.finish_job(job, Status.SUCCEEDED, delete_job=False)
            jobs += 1
        return Span(jobs, began, time.monotonic())


def throughput(database_url: str) -> list[dict[str, Any]]:
    """Return the jobs a second for each number of connections."""
    return [
        *({**_LIBRARY, "how": "calls", **measured} for measured in figures(_fill, _drain, database_url)),
        *(
            {**_LIBRARY, "how": "worker", **measured}
            for measured in figures(_fill, _work_off, database_url, run=asyncio.run)
        ),
    ]


async def latency(database_url: str) -> list[dict[str, Any]]:
    """Return how soon its worker, as shipped, begins a job."""
    waking = Waking()

    async def begin() -> None:
        waking.begun()

    async with opened(database_url, connections=2) as app:
        task = app.task(begin, name="begin", queue="latency")
        worker = asyncio.create_task(app.run_worker_async(queues=["latency"], install_signal_handlers=False))
        await waking.measure(task.defer_async)
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
    return [{**_LIBRARY, **waking.figures()}]


if __name__ == "__main__":
    _, what, url = sys.argv
    print(json.dumps(throughput(url) if what == "throughput" else uvloop.run(latency(url))))
