"""One search: embed the query, rank in each channel, fuse. Never fails because the embedding provider does."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pgvector import Vector as PgVector

from opdex.database import Connection, Transactions, load_statements
from opdex.embedding.contract import Embedder, ModelIdentity, Vector
from opdex.embedding.registry import find_model
from opdex.errors import ConfigurationError, ProviderError
from opdex.observability import Latency, logger, measure
from opdex.openapi.operation_text import words
from opdex.search.fusion import fuse
from opdex.search.models import Channel, FoundOperation, SearchAnswer, SearchRequest

_SQL = load_statements("opdex.search", "search.sql")

# How deep each channel is looked into; fusion gains nothing from what lies deeper.
_DEPTH = 200

_LATENCY_OF: dict[Channel, Latency] = {"semantic": "SemanticSearchLatency", "lexical": "LexicalSearchLatency"}

type _Key = tuple[int, int, int]  # spec_id, revision, position
type _Ranked = dict[_Key, float]  # best first


def search(database: Transactions, embedder: Callable[[], Embedder], request: SearchRequest) -> SearchAnswer:
    """Return the operations that do what the query says, best first, in a stable order.

    The query is embedded outside the transaction; where that cannot be done, or no spec asked for is indexed by the
    current model, the ranking is lexical and ``note`` says why. Raises DatabaseUnavailable.
    """
    with _timed("SearchLatency"):
        return _search(database, embedder, request)


def _search(database: Transactions, embedder: Callable[[], Embedder], request: SearchRequest) -> SearchAnswer:
    query, note = None, None
    if request.ranking != "lexical":
        try:
            provider = embedder()
            with _timed("QueryEmbeddingLatency"):
                query = provider.embed_query(request.q), provider.identity
        except (ProviderError, ConfigurationError) as error:
            logger.warning("query not embedded", error_code=error.code)
            note = f"Ranked by words alone: {error.message}"
    with database.transaction() as connection:
        connection.execute(_SQL["snapshot"])
        return _answer(connection, request, query, note)


def _answer(
    connection: Connection, request: SearchRequest, query: tuple[Vector, ModelIdentity] | None, note: str | None
) -> SearchAnswer:
    values: dict[str, Any] = {
        "catalogs": list(request.catalogs) or None,
        "specs": list(request.specs) or None,
        "method": request.method,
        "tag": request.tag,
        "words": " ".join(words(request.q)),
        "depth": max(_DEPTH, request.limit),
    }
    ranked: dict[Channel, _Ranked] = {}
    model = find_model(connection, query[1]) if query else None
    if query and model and model.dimension not in (None, len(query[0])):
        note = "Ranked by words alone: the model answers vectors of another dimension than those stored."
    elif query:
        values |= {"vector": PgVector(query[0]).to_text(), "model_id": model.id if model else None}
        ranked["semantic"] = _rank(connection, "semantic", values)
        note = _coverage_note(connection, values)
        if not ranked["semantic"] and note is not None:
            del ranked["semantic"]
    if request.ranking != "semantic" or "semantic" not in ranked:
        ranked["lexical"] = _rank(connection, "lexical", values)
    hits = _fused(ranked)[: request.limit]
    used = "hybrid" if len(ranked) == 2 else next(iter(ranked))
    return SearchAnswer(operations=_operations(connection, hits), ranking=used, note=note)


def _rank(connection: Connection, channel: Channel, values: Mapping[str, Any]) -> _Ranked:
    with _timed(_LATENCY_OF[channel]):
        rows = connection.execute(_SQL[channel], values).fetchall()
    return {(row["spec_id"], row["revision"], row["position"]): row["score"] for row in rows}


def _fused(ranked: dict[Channel, _Ranked]) -> list[tuple[_Key, float, list[Channel]]]:
    if len(ranked) == 1:
        ((channel, scores),) = ranked.items()
        return [(key, min(1.0, max(0.0, score)), [channel]) for key, score in scores.items()]
    return fuse({channel: list(scores) for channel, scores in ranked.items()})


def _coverage_note(connection: Connection, values: Mapping[str, Any]) -> str | None:
    row = connection.execute(_SQL["coverage"], values).fetchone()
    waiting = row["specs"] - row["indexed"] if row else 0
    if not waiting:
        return None
    subject = "1 spec is" if waiting == 1 else f"{waiting} specs are"
    return f"{subject} not indexed yet: ranked there by words alone."


def _operations(connection: Connection, hits: list[tuple[_Key, float, list[Channel]]]) -> list[FoundOperation]:
    spec_ids, revisions, positions = ([key[part] for key, _, _ in hits] for part in range(3))
    rows = connection.execute(
        _SQL["found"], {"spec_ids": spec_ids, "revisions": revisions, "positions": positions}
    ).fetchall()
    return [
        FoundOperation(**row, score=round(score, 6), matched=matched)
        for row, (_, score, matched) in zip(rows, hits, strict=True)
    ]


@contextmanager
def _timed(latency: Latency) -> Iterator[None]:
    """Measure the block, unless it raises."""
    began = time.monotonic()
    yield
    measure(latency, round((time.monotonic() - began) * 1000, 3))
