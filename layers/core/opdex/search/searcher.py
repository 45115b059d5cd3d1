"""One search: embed the query, rank what it may find, read what was found. Never fails because the provider does."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opdex.catalog.models import ListedOperation
from opdex.database import Connection, Transactions, load_statements
from opdex.embedding.contract import Embedder, ModelIdentity, Vector
from opdex.embedding.registry import RegisteredModel, find_model
from opdex.errors import ConfigurationError, ProviderError, ProviderTimeout
from opdex.observability import Latency, logger, measure
from opdex.ranking.parts import PARTS, Part
from opdex.ranking.ranker import Query, Ranked, is_cut_short, rank
from opdex.ranking.scope import Scope
from opdex.search.held_vectors import HeldVectors, Publication
from opdex.search.highlights import highlights, query_stems
from opdex.search.models import FoundOperation, Ranking, SearchAnswer, SearchRequest
from opdex.search.query_vectors import QueryVectors
from opdex.search.segment_cache import Edition, SegmentCache
from opdex.search.similarities import StoredSimilarities

_SQL = load_statements("opdex.search", "search.sql")

# One channel alone is the plain one: the whole query, by its words or by its vector.
_PARTS: dict[Ranking, tuple[Part, ...]] = {"hybrid": PARTS, "semantic": ("semantic",), "lexical": ("lexical",)}
_MOST_NAMED = 5  # in a note


@dataclass(frozen=True, slots=True)
class _Vectors:
    identity: ModelIdentity
    texts: Sequence[str]
    of_texts: Sequence[Vector]


class Searcher:
    """Searches; holds what stays good between searches. Not for use by two threads at once."""

    def __init__(
        self,
        database: Transactions,
        embedder: Callable[[], Embedder],
        cache_bytes: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._embedder = embedder
        self._segments = SegmentCache(cache_bytes, clock)
        self._held_vectors = HeldVectors(cache_bytes)
        self._query_vectors = QueryVectors()

    def search(self, request: SearchRequest) -> SearchAnswer:
        """Return the operations that do what the query says, best first, in a stable order.

        The query is embedded outside the transaction; where that cannot be done, or no spec asked for is indexed by the
        current model, the ranking is lexical and ``note`` says why. Raises DatabaseUnavailable.
        """
        with _timed("SearchLatency"):
            parts = _PARTS[request.ranking]
            if request.ranking == "hybrid":
                parts = tuple(part for part in parts if part not in request.without)
            query = Query.of(request.q, parts)
            vectors, note = self._embed(query, parts)
            with self._database.transaction() as connection:
                connection.execute(_SQL["snapshot"])
                search = _Search(connection, request, self._segments, self._held_vectors, self._query_vectors)
                return search.answer(parts, vectors, note)

    def _embed(self, query: Query, parts: Sequence[Part]) -> tuple[_Vectors | None, str | None]:
        if "semantic" not in parts:
            return None, None
        try:
            embedder = self._embedder()
            with _timed("QueryEmbeddingLatency"):
                of_texts = self._query_vectors.of(embedder, query.texts)
            return _Vectors(embedder.identity, query.texts, of_texts), None
        except (ProviderError, ConfigurationError) as error:
            logger.warning("query not embedded", error_code=error.code)
            note = f"Ranked by words alone: {error.message}"
            return None, note + self._busy_note() if isinstance(error, ProviderTimeout) else note

    def _busy_note(self) -> str:
        with self._database.transaction() as connection:
            row = connection.execute(_SQL["running_jobs"]).fetchone()
        return " It is busy with the texts of jobs, and queries wait behind them." if row and row["running"] else ""


class _Search:
    """One search in its transaction."""

    def __init__(
        self,
        connection: Connection,
        request: SearchRequest,
        segments: SegmentCache,
        held_vectors: HeldVectors,
        query_vectors: QueryVectors,
    ) -> None:
        self._connection = connection
        self._request = request
        self._segments = segments
        self._held_vectors = held_vectors
        self._query_vectors = query_vectors

    def answer(self, parts: tuple[Part, ...], vectors: _Vectors | None, note: str | None) -> SearchAnswer:
        model = find_model(self._connection, vectors.identity) if vectors else None
        visible = self._connection.execute(
            _SQL["scope"],
            {
                "catalogs": list(self._request.catalogs) or None,
                "specs": list(self._request.specs) or None,
                "model_id": model.id if model else None,
            },
        ).fetchall()
        loaded = self._segments.load(self._connection, map(_edition, visible))
        specs = [spec for spec in visible if _edition(spec) in loaded.segments]
        left_out = [_edition(spec) for spec in visible if _edition(spec) not in loaded.segments]
        unready = sum(edition in loaded.unready for edition in left_out)
        segments = [loaded.segments[_edition(spec)] for spec in specs]
        scope = Scope(segments)
        passing = scope.passing(self._request.method, self._request.tag, self._request.deprecated)
        similarities = None
        if vectors:
            similarities, note = self._similarities(specs, scope, passing, model, vectors)
        used, parts = _used(parts, similarities is not None or (vectors is not None and not specs), self._request)
        query = Query.of(self._request.q, parts)
        ranked = self._rank(query, scope, passing, similarities, parts)
        shown = ranked[self._request.start : self._request.start + self._request.limit]
        has_more = len(ranked) > self._request.start + len(shown)
        end = None if has_more else _end_note(len(ranked), int(passing.sum()))
        return SearchAnswer(
            operations=self._found(query, specs, scope, shown),
            ranking=used,
            note=_notes(
                _absent_note(self._request, visible),
                note,
                _unready_note(unready),
                _no_room_note(len(left_out) - unready),
                end,
            ),
            has_more=has_more,
        )

    def _similarities(
        self,
        specs: list[dict[str, Any]],
        scope: Scope,
        passing: NDArray[np.bool_],
        model: RegisteredModel | None,
        vectors: _Vectors,
    ) -> tuple[StoredSimilarities | None, str | None]:
        """Return the cosines, if something that passes has any, and a note where some or all have none."""
        if model and model.dimension not in (None, len(vectors.of_texts[0])):
            self._query_vectors.forget(vectors.identity, vectors.texts)  # the next answer may be a right one
            return None, "Ranked by words alone: the model answers vectors of another dimension than those stored."
        waiting = sum(not spec["is_indexed"] for spec in specs)
        note = _waiting_note(waiting)
        if model is None or waiting == len(specs):
            return None, note
        published = [_publication(spec, model.id) for spec in specs]
        similarities = StoredSimilarities(
            self._connection, scope, published, passing, model.id, vectors.of_texts, self._held_vectors
        )
        return similarities if similarities.reach_something or not passing.any() else None, note

    def _rank(
        self,
        query: Query,
        scope: Scope,
        passing: NDArray[np.bool_],
        similarities: StoredSimilarities | None,
        parts: tuple[Part, ...],
    ) -> list[Ranked]:
        began = time.monotonic()
        # One more than is shown tells whether there are more.
        limit = self._request.start + self._request.limit + 1
        ranked = rank(query, scope, passing, similarities, parts, limit)
        seconds = time.monotonic() - began
        if similarities is not None:
            seconds -= similarities.seconds
            measure("SemanticSearchLatency", round(similarities.seconds * 1000, 3))
        measure("LexicalSearchLatency", round(seconds * 1000, 3))
        return ranked

    def _found(
        self, query: Query, specs: list[dict[str, Any]], scope: Scope, shown: list[Ranked]
    ) -> list[FoundOperation]:
        givers = [hit.needed_by for hit in shown if hit.needed_by is not None]
        numbers = [*(hit.number for hit in shown), *givers]
        places = [scope.locate(number) for number in numbers]
        rows = self._connection.execute(
            _SQL["found"],
            {
                "spec_ids": [specs[which]["origin_spec_id"] for which, _ in places],
                "revisions": [specs[which]["origin_revision"] for which, _ in places],
                "positions": [place for _, place in places],
            },
        ).fetchall()
        operations = [
            ListedOperation(**row, catalog_id=specs[which]["catalog_id"], spec_name=specs[which]["spec_name"])
            for row, (which, _) in zip(rows, places, strict=True)
        ]
        called = dict(zip(numbers, (f"{found.method} {found.path}" for found in operations), strict=True))
        said = query_stems(query.whole)
        return [
            FoundOperation(
                **dict(operation),
                score=round(hit.score, 6),
                matched=list(hit.channels),
                clause=query.texts[hit.clause] if hit.clause else None,
                needed_by=called[hit.needed_by] if hit.needed_by is not None else None,
                highlights=highlights(operation, said),
            )
            for operation, hit in zip(operations, shown, strict=False)
        ]


def _publication(spec: dict[str, Any], model_id: int) -> Publication | None:
    if not spec["is_indexed"]:
        return None
    return Publication(model_id, _edition(spec), spec["version"])


def _used(parts: tuple[Part, ...], has_vectors: bool, request: SearchRequest) -> tuple[Ranking, tuple[Part, ...]]:
    """Return the ranking that is used and its parts: without vectors, all that needs none."""
    if has_vectors or "semantic" not in parts:
        return request.ranking, parts
    without = request.without if request.ranking == "hybrid" else ()
    return "lexical", tuple(part for part in PARTS if part != "semantic" and part not in without)


def _edition(spec: dict[str, Any]) -> Edition:
    return Edition((spec["origin_spec_id"], spec["origin_revision"]), spec["content_sha256"])


def _absent_note(request: SearchRequest, visible: list[dict[str, Any]]) -> str | None:
    catalogs, specs = ({spec[name] for spec in visible} for name in ("catalog_id", "spec_name"))
    absent = [f"catalog '{name}'" for name in request.catalogs if name not in catalogs]
    absent += [f"spec '{name}'" for name in request.specs if name not in specs]
    if not absent:
        return None
    more = f" and {len(absent) - _MOST_NAMED} others" if len(absent) > _MOST_NAMED else ""
    return f"There is nothing to search in {', '.join(absent[:_MOST_NAMED])}{more}."


def _waiting_note(specs: int) -> str | None:
    return f"{_are(specs)} not indexed yet: ranked there by words alone." if specs else None


def _unready_note(specs: int) -> str | None:
    return f"{_are(specs)} left out: not ready for search yet; ask again in some minutes." if specs else None


def _no_room_note(specs: int) -> str | None:
    return f"{_are(specs)} left out: all are more than one search may look at; name catalogs." if specs else None


def _end_note(ranked: int, passing: int) -> str | None:
    if not is_cut_short(ranked, passing):
        return None
    return f"Only the best {ranked:,} of {passing:,} operations are ranked: narrow the search."


def _are(specs: int) -> str:
    return "1 spec is" if specs == 1 else f"{specs} specs are"


def _notes(*notes: str | None) -> str | None:
    return " ".join(filter(None, notes)) or None


@contextmanager
def _timed(latency: Latency) -> Iterator[None]:
    """Measure the block, unless it raises."""
    began = time.monotonic()
    yield
    measure(latency, round((time.monotonic() - began) * 1000, 3))
