"""A cocoindex flow into pgvector that embeds no text again which it has embedded before.

Of the flows that do so this is the fastest: a component for each call's texts, a batched and memoized function for the
calls, and in it a semaphore, since nothing of cocoindex' own limits the calls in flight. A component for each text
takes a quarter more time with five calls in flight. Its state is on disk, as shipped.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import asyncpg
import cocoindex as coco
import numpy as np
from cocoindex.connectors import postgres
from cocoindex.resources.schema import VectorSchema
from numpy.typing import NDArray

from tests.benchmarks.rivals.workload import DIMENSION, TEXTS, Chunk, Index, chunks, embedding

type Vector = NDArray[np.float32]

_DATABASE = coco.ContextKey("database")


@dataclass
class Row:
    """A row of the flow's table."""

    text: str
    vector: Annotated[NDArray[np.float32], VectorSchema(dtype=np.dtype(np.float32), size=DIMENSION)]


@asynccontextmanager
async def cocoindex(database_url: str, provider_url: str, state_folder: Path) -> AsyncIterator[Index]:
    """Yield what embeds a run's texts as a flow of its own, into a table of its own."""
    os.environ["COCOINDEX_DB"] = str(state_folder)
    async with asyncpg.create_pool(database_url, min_size=5) as pool, embedding(provider_url) as call:
        free = asyncio.Semaphore()

        async def provide(builder: Any) -> AsyncIterator[None]:
            builder.provide(_DATABASE, pool)
            yield

        coco.lifespan(provide)

        async def embed(texts: list[str]) -> list[Vector]:
            async with free:
                return [np.array(vector, dtype=np.float32) for vector in await call(tuple(texts))]

        batched_embed = coco.fn.as_async(batching=True, max_batch_size=32, memo=True)(embed)

        async def text_row(text: str, table: Any) -> None:
            table.declare_row(row=Row(text, await batched_embed(text)))

        async def chunk_rows(chunk: Chunk, table: Any) -> None:
            await coco.map(coco.fn(text_row), chunk, table)

        async def flow(table_name: str, run: list[Chunk]) -> None:
            schema = await postgres.TableSchema.from_class(Row, primary_key=["text"])
            table = await postgres.mount_table_target(_DATABASE, table_name, schema)
            await coco.mount_each(coco.fn(memo=True)(chunk_rows), enumerate(run), table)

        async def index(run: str, calls_in_flight: int) -> float:
            nonlocal free
            free = asyncio.Semaphore(calls_in_flight)
            table_name = f"cocoindex_{run}"
            await pool.execute(f"DROP TABLE IF EXISTS {table_name}")
            app = coco.App(coco.AppConfig(name=run), coco.fn(flow), table_name, chunks(run))
            began = time.perf_counter()
            await app.update()
            seconds = time.perf_counter() - began
            assert await pool.fetchval(f"SELECT count(*) FROM {table_name}") == TEXTS
            return seconds

        yield index
        await coco.stop()
