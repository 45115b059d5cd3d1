"""BM25 over the segments of a scope, with what `bm25f` weighed; and the match of operationIds, which is built alike.

score = Σ_t q_t · idf_t · tf~ · (k + 1) / (k + tf~), k = 1.5, idf_t = ln(1 + (N - df + 0.5) / (df + 0.5)), N and df
over the scope; q_t is 1 for each distinct stem of a text and 0.5 for each bigram (Robertson and Zaragoza, FnTIR 2009).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opdex.ranking.scope import Scope
from opdex.ranking.segment import InvertedIndex
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
        having += segment.terms.counts(query.keys)
    idf: NDArray[np.float32] = np.log1p((scope.count - having + 0.5) / (having + 0.5)).astype(np.float32)
    return idf


def bm25(scope: Scope, query: QueryTerms, idf: NDArray[np.float32]) -> Columns:
    """Return the score of each operation for each text."""
    indexes = [segment.terms for segment in scope.segments]
    return _summed(scope, indexes, query.keys, query.weights * idf[:, None], lambda said: said * (K + 1) / (K + said))


def name_match(scope: Scope, query: QueryTerms, idf: NDArray[np.float32]) -> Columns:
    """Return the cosine between each text's stems and each operationId's, both weighted by idf."""
    weights = (query.weights * query.stems[:, None]) * idf[:, None]
    lengths = np.linalg.norm(weights, axis=0)
    weights = np.divide(weights, lengths, out=np.zeros_like(weights), where=lengths > 0)
    indexes = [segment.names for segment in scope.segments]
    return _summed(scope, indexes, query.keys, weights, lambda said: said)


def _summed(
    scope: Scope,
    indexes: Sequence[InvertedIndex],
    keys: NDArray[np.uint64],
    weights: Columns,
    strength: Callable[[NDArray[np.float32]], NDArray[np.float32]],
) -> Columns:
    """Return for each operation and text the sum over the terms of weight times strength of what is said of it."""
    # Most terms are of the whole query and of one of its clauses: only where they are is anything added.
    terms, texts = np.nonzero(weights)
    keys, weight, columns = keys[terms], weights[terms, texts], weights.shape[1]
    scores = np.zeros((scope.count, columns), np.float32)
    for index, start, end in zip(indexes, scope.starts, scope.starts[1:], strict=False):
        which, places, said = index.postings(keys)
        if len(which):
            added = strength(said) * weight[which]
            cells = np.bincount(places * columns + texts[which], added, minlength=(end - start) * columns)
            scores[start:end] = cells.reshape(-1, columns)
    return scores
