"""What is embedded: texts that no run has seen before, cut into calls, and the call itself."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import batched

import httpx

from tests.ollama_server import DIMENSION, MODEL

__all__ = ["DIMENSION", "TEXTS", "Chunk", "Embed", "Index", "chunks", "embedding"]

TEXTS = 1_000
_TEXTS_A_CALL = 32

type Chunk = tuple[str, ...]
type Embed = Callable[[Chunk], Awaitable[list[list[float]]]]
# Embeds the texts of a run of that name with so many calls in flight, and returns the seconds it took.
type Index = Callable[[str, int], Awaitable[float]]


def chunks(run: str) -> list[Chunk]:
    """Return the run's texts, a tuple for each call."""
    texts = (
        f"GET /{run}/orders/{n}/deliveries List the deliveries of order {n}, newest first, with their parcels and dates"
        for n in range(TEXTS)
    )
    return list(batched(texts, _TEXTS_A_CALL, strict=False))


@asynccontextmanager
async def embedding(provider_url: str) -> AsyncIterator[Embed]:
    """Yield a function that makes one call and returns its vectors."""
    async with httpx.AsyncClient(base_url=provider_url, timeout=60) as client:

        async def embed(chunk: Chunk) -> list[list[float]]:
            answer = await client.post("/api/embed", json={"model": MODEL, "input": chunk})
            answer.raise_for_status()
            vectors: list[list[float]] = answer.json()["embeddings"]
            assert len(vectors) == len(chunk)
            return vectors

        yield embed
