"""The cosines between a query and the operations' vectors, as Postgres has them or as they are held."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pgvector import Vector as PgVector

from opdex.database import Connection, load_statements
from opdex.embedding.contract import Vector
from opdex.ranking.fusion import Columns
from opdex.ranking.scope import Scope
from opdex.ranking.segment import text_prefixes
from opdex.ranking.selection import greatest
from opdex.search.held_vectors import HeldVectors, Publication, Vectors

_SQL = load_statements("opdex.search", "search.sql")

# An exact cosine costs about a seventh of an index's nearest neighbour, of which depth · vectors / passing are needed.
_EXACT_IN_NEAREST = 1 / 7
_MORE = 4
# Of the vectors that are to be held from now on: bytes that one search waits for.
_MOST_READ = 16 * 1024 * 1024


class StoredSimilarities:
    """The cosines over one scope, in one transaction. ``published``: what the model has of each segment; None where it
    has published nothing."""

    def __init__(
        self,
        connection: Connection,
        scope: Scope,
        published: Sequence[Publication | None],
        passing: NDArray[np.bool_],
        model_id: int,
        vectors: Sequence[Vector],
        held: HeldVectors,
    ) -> None:
        self._connection = connection
        self._scope = scope
        self._published = published
        self._indexed = np.repeat(
            np.array([publication is not None for publication in published], bool),
            [segment.count for segment in scope.segments],
        )
        self._passing = passing & self._indexed
        self._vectors = np.array(vectors, np.float32)
        self._held = held
        self._readable = _MOST_READ
        self._values: Mapping[str, Any] = {
            "model_id": model_id,
            "vectors": [PgVector(vector).to_text() for vector in vectors],
        }
        self._columns = len(vectors)
        self.seconds = 0.0

    @property
    def reach_something(self) -> bool:
        """Whether an operation that passes is of a spec whose vectors are published."""
        return bool(self._passing.any())

    def nearest(self, depth: int) -> NDArray[np.intp]:
        """Return the numbers of the passing operations nearest to each text, by an index where that is faster.

        What passes may be far from the text where others are near: the index is asked for more until it gave enough.
        """
        passing = np.flatnonzero(self._passing)
        if not len(passing):
            return passing
        stored = self._row("stored_vectors", {"dimension": self._vectors.shape[1]})
        # The statistics may be older than the vectors.
        wanted = int(depth * max(stored["vectors"], len(passing)) / len(passing))
        while stored["has_index"] and len(passing) * _EXACT_IN_NEAREST > wanted:
            found = self._near(wanted, depth)
            if found is not None:
                return found
            wanted *= _MORE
        cosines = np.nan_to_num(self.cosines(passing), nan=-1.0)
        best: NDArray[np.intp] = np.unique([greatest(column, depth) for column in cosines.T])
        return passing[best]

    def _near(self, wanted: int, least: int) -> NDArray[np.intp] | None:
        """Return the passing operations among so many texts; None where some vector has fewer than ``least``."""
        began = time.monotonic()
        rows = self._connection.execute(_SQL["nearest"], {**self._values, "depth": wanted}, binary=True).fetchall()
        self.seconds += time.monotonic() - began
        hashes = np.frombuffer(b"".join(row["text_hash"] for row in rows), np.uint8).reshape(-1, 32)
        texts, numbers = self._scope.numbers_of(text_prefixes(hashes))
        passing = self._passing[numbers]
        columns = np.array([row["n"] for row in rows], np.intp)[texts[passing]]
        enough = np.bincount(columns, minlength=self._columns + 1)[1:] >= least
        return np.unique(numbers[passing]) if enough.all() else None

    def cosines(self, numbers: NDArray[np.intp]) -> Columns:
        """Return a row an operation and a column a text; NaN where the operation has no published vector."""
        cosines = np.full((len(numbers), self._columns), np.nan, np.float32)
        asked = self._indexed[numbers]
        which = np.searchsorted(self._scope.starts, numbers, "right") - 1
        for segment in self._searched_whole(which[asked]):
            vectors = self._held_vectors(segment)
            if vectors is not None:
                inside = which == segment
                cosines[inside] = _products(vectors, self._vectors)[numbers[inside] - self._scope.starts[segment]]
                asked &= ~inside
        if asked.any():
            hashes = self._scope.text_hashes(numbers[asked])
            cosines[asked] = self._measured(np.frombuffer(hashes, np.uint8).reshape(-1, 32))
        return cosines

    def _searched_whole(self, which: NDArray[np.intp]) -> list[int]:
        """Return the segments whose held vectors are looked at: of others too few would be, or all have no room."""
        segments, counts = np.unique(which, return_counts=True)
        sizes = np.diff(self._scope.starts)[segments]
        whole = counts * 2 >= sizes
        has_room = int(sizes[whole].sum()) * self._vectors[0].nbytes <= self._held.max_bytes
        return segments[whole].tolist() if has_room else []

    def _held_vectors(self, segment: int) -> Vectors | None:
        publication = self._published[segment]
        assert publication is not None  # noqa: S101 - only what is published is asked for
        vectors = self._held.of(publication)
        hashes = self._scope.segments[segment].text_hashes
        size = len(hashes) * self._vectors[0].nbytes
        if vectors is None and size <= self._readable and self._held.is_due(publication):
            self._readable -= size
            vectors = self._read(hashes)
            self._held.hold(publication, vectors)
        return vectors

    def _read(self, hashes: NDArray[np.uint8]) -> Vectors:
        texts, which = np.unique(text_prefixes(hashes), return_inverse=True)
        vectors = np.full((len(texts), self._vectors.shape[1]), np.nan, np.float32)
        row = self._row("vectors", {"text_hashes": hashes.tobytes()})
        if row["vectors"] is not None:
            # Each begins with its dimension and a number that means nothing.
            sent = np.dtype([("head", "V4"), ("vector", ">f4", (vectors.shape[1],))])
            found = np.searchsorted(texts, np.frombuffer(row["texts"], "<u8"))
            vectors[found] = np.frombuffer(row["vectors"], sent)["vector"]
        return vectors[which]

    def _measured(self, hashes: NDArray[np.uint8]) -> Columns:
        texts, which = np.unique(text_prefixes(hashes), return_inverse=True)
        cosines = np.full((len(texts), self._columns), np.nan, np.float32)
        row = self._row("cosines", {"text_hashes": hashes.tobytes()})
        if row["cosines"] is not None:
            found = np.searchsorted(texts, np.frombuffer(row["texts"], "<u8"))
            cosines[found, np.frombuffer(row["queries"], ">i2") - 1] = np.frombuffer(row["cosines"], ">f4")
        return cosines[which]

    def _row(self, statement: str, values: Mapping[str, Any]) -> dict[str, Any]:
        began = time.monotonic()
        row = self._connection.execute(_SQL[statement], {**self._values, **values}, binary=True).fetchone()
        self.seconds += time.monotonic() - began
        assert row is not None  # noqa: S101 - each of the statements answers one row
        return row


def _products(vectors: Vectors, queries: Vectors) -> Columns:
    """Return the inner products. A matrix product would not give twins the same one to the last bit."""
    return np.stack([np.einsum("ij,j->i", vectors, query) for query in queries], axis=1)
