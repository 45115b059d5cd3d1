"""The calls alone, back to back or so many at once: what nobody can be faster than."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.benchmarks.rivals.workload import Index, chunks, embedding


@asynccontextmanager
async def bare(provider_url: str) -> AsyncIterator[Index]:
    """Yield what embeds a run's texts and forgets the vectors."""
    async with embedding(provider_url) as embed:

        async def index(run: str, calls_in_flight: int) -> float:
            waiting = iter(chunks(run))

            async def work() -> None:
                for chunk in waiting:
                    await embed(chunk)

            began = time.perf_counter()
            await asyncio.gather(*(work() for _ in range(calls_in_flight)))
            return time.perf_counter() - began

        yield index
