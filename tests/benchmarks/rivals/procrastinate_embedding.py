"""A procrastinate job around a bare loop, as one would write it: call, write the vectors, next.

Its worker is idle and woken by NOTIFY; the time runs from before the job is enqueued to the last vector's commit. The
job finds its texts at hand, and finishing it is not counted.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from psycopg_pool import AsyncConnectionPool

from tests.benchmarks.rivals.procrastinate_queue import opened
from tests.benchmarks.rivals.workload import DIMENSION, Chunk, Index, chunks, embedding

_CONNECTIONS = 5
_WRITE = """
INSERT INTO procrastinate_vectors (text, vector)
SELECT text, vector::vector FROM unnest(%s::text[], %s::text[]) AS new (text, vector)
"""


@asynccontextmanager
async def procrastinate(database_url: str, provider_url: str) -> AsyncIterator[Index]:
    """Yield what embeds a run's texts in a job that a warm worker takes up."""
    async with (
        AsyncConnectionPool(database_url, min_size=_CONNECTIONS, max_size=_CONNECTIONS, open=False) as pool,
        opened(database_url, connections=2) as app,
        embedding(provider_url) as embed,
    ):
        async with pool.connection() as connection:
            await connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
            await connection.execute("DROP TABLE IF EXISTS procrastinate_vectors")
            await connection.execute(
                f"CREATE TABLE procrastinate_vectors (text text PRIMARY KEY, vector vector({DIMENSION}) NOT NULL)"
            )

        async def write(chunk: Chunk, vectors: list[list[float]]) -> None:
            async with pool.connection() as connection:
                await connection.execute(_WRITE, (list(chunk), [str(vector) for vector in vectors]))

        ended: asyncio.Future[float] = asyncio.Future()

        async def embed_run(run: str, calls_in_flight: int) -> None:
            waiting = iter(chunks(run))

            async def work() -> None:
                for chunk in waiting:
                    await write(chunk, await embed(chunk))

            try:
                await asyncio.gather(*(work() for _ in range(calls_in_flight)))
            except Exception as error:
                ended.set_exception(error)
                raise
            ended.set_result(time.perf_counter())

        task = app.task(embed_run, name="embed", queue="embedding")
        worker = asyncio.create_task(app.run_worker_async(queues=["embedding"], install_signal_handlers=False))

        async def index(run: str, calls_in_flight: int) -> float:
            nonlocal ended
            ended = asyncio.Future()
            began = time.perf_counter()
            await task.defer_async(run=run, calls_in_flight=calls_in_flight)
            return await ended - began

        yield index
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
