"""BM25 over the segments of a scope, with what `bm25f` weighed; and the match of operationIds, which is built alike.

score = Σ_t q_t · idf_t · tf~ · (k + 1) / (k + tf~), k = 1.5, idf_t = ln(1 + (N - df + 0.5) / (df + 0.5)), N and df
over the scope; q_t is 1 for each distinct stem of a text and 0.5 for each bigram (Robertson and Zaragoza, FnTIR 2009).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opdex.ranking.scope import Scope
from opdex.ranking.segment import InvertedIndex, Segment
from opdex.ranking.words import bigrams, stems, term_key

K = 1.5
BIGRAM = 0.5

type Columns = NDArray[np.float32]  # a row an operation (or a term), a column a text


@dataclass(frozen=True, slots=True)
class QueryTerms:
    """The distinct stems and bigrams of some texts; ``weights`` has a row a term and a column a text."""

    terms: tuple[str, ...]
    keys: NDArray[np.uint64]
    weights: Columns

    @property
    def stems(self) -> NDArray[np.bool_]:
        """Which of the terms are stems, not bigrams."""
        return np.array([" " not in term for term in self.terms], bool)


def query_terms(texts: Sequence[str]) -> QueryTerms:
    """Return the terms of the texts."""
    rows: dict[str, dict[int, float]] = {}
    for column, text in enumerate(texts):
        said = stems(text)
        for weight, terms in ((1.0, said), (BIGRAM, bigrams(said))):
            for term in terms:
                rows.setdefault(term, {})[column] = weight
    weights = np.zeros((len(rows), len(texts)), np.float32)
    for row, columns in enumerate(rows.values()):
        for column, weight in columns.items():
            weights[row, column] = weight
    return QueryTerms(tuple(rows), np.array([term_key(term) for term in rows], np.uint64), weights)


def inverse_document_frequencies(scope: Scope, query: QueryTerms) -> NDArray[np.float32]:
    """Return the idf of each term over the scope."""
    having = np.zeros(len(query.terms))
    for segment in scope.segments:
        rows = segment.terms.rows_of(query.keys)
        starts = segment.terms.places.starts
        having += np.where(rows >= 0, starts[rows + 1].astype(np.int64) - starts[rows], 0)
    idf: NDArray[np.float32] = np.log1p((scope.count - having + 0.5) / (having + 0.5)).astype(np.float32)
    return idf


def bm25(scope: Scope, query: QueryTerms, idf: NDArray[np.float32]) -> Columns:
    """Return the score of each operation for each text."""
    weights = query.weights * idf[:, None]
    scores = np.zeros((scope.count, weights.shape[1]), np.float32)
    for segment, start in zip(scope.segments, scope.starts, strict=False):
        for term, (places, said) in _found(segment, segment.terms, query.keys):
            scores[places + start] += (said * (K + 1) / (K + said))[:, None] * weights[term]
    return scores


def name_match(scope: Scope, query: QueryTerms, idf: NDArray[np.float32]) -> Columns:
    """Return the cosine between each text's stems and each operationId's, both weighted by idf."""
    weights = (query.weights * query.stems[:, None]) * idf[:, None]
    lengths = np.linalg.norm(weights, axis=0)
    weights = np.divide(weights, lengths, out=np.zeros_like(weights), where=lengths > 0)
    scores = np.zeros((scope.count, weights.shape[1]), np.float32)
    for segment, start in zip(scope.segments, scope.starts, strict=False):
        for term, (places, said) in _found(segment, segment.names, query.keys):
            scores[places + start] += said[:, None] * weights[term]
    return scores


def _found(
    segment: Segment, index: InvertedIndex, keys: NDArray[np.uint64]
) -> Sequence[tuple[int, tuple[NDArray[np.intp], NDArray[np.float32]]]]:
    rows = index.rows_of(keys)
    return [
        (int(term), (index.places[rows[term]].astype(np.intp), index.weights[rows[term]].astype(np.float32)))
        for term in np.flatnonzero(rows >= 0)
    ]
