"""The ranking of a scope's operations for a query, from all its parts: words, vectors, names, clauses, hint and
graph."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from opdex.ranking import fusion, graph
from opdex.ranking.clauses import split_clauses
from opdex.ranking.fusion import Columns
from opdex.ranking.lexical import bm25, inverse_document_frequencies, name_match, query_terms
from opdex.ranking.method_hint import method_hint, verb_of
from opdex.ranking.parts import PARTS, Channel, Part
from opdex.ranking.scope import Scope
from opdex.ranking.segment import Places
from opdex.ranking.words import term_key

# Where no more operations than this pass the filters, all are candidates; of more, the best of each channel and clause.
ALL_CANDIDATES = 4_000
DEPTH = 300
# How far down a channel's list an operation may stand to be called its match.
_MATCH_DEPTH = 50


@dataclass(frozen=True, slots=True)
class Query:
    """A query and its clauses. ``texts``: what is ranked by, the whole first; one text where there are no clauses."""

    whole: str
    texts: tuple[str, ...]

    @classmethod
    def of(cls, whole: str, parts: Sequence[Part] = PARTS) -> "Query":
        """Return the query with the clauses that it has, if they are a part of the ranking."""
        return cls(whole, (whole, *(split_clauses(whole) if "clauses" in parts else ())))


class Similarities(Protocol):
    """The cosines between a query's texts and the operations' vectors."""

    def nearest(self, depth: int) -> NDArray[np.intp]:
        """Return the numbers of the operations nearest to each text, so many a text, in any order."""

    def cosines(self, numbers: NDArray[np.intp]) -> Columns:
        """Return a row an operation and a column a text; NaN where an operation has no vector."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """An operation's number in the scope, and why it is where it is.

    ``clause``: which of the query's texts it answers best; ``needed_by``: the number of the operation that brought it,
    where the graph gave it more than its own words and meaning.
    """

    number: int
    score: float
    channels: tuple[Channel, ...]
    clause: int
    needed_by: int | None


def rank(
    query: Query,
    scope: Scope,
    passing: NDArray[np.bool_],
    similarities: Similarities | None,
    parts: Sequence[Part] = PARTS,
) -> list[Ranked]:
    """Return the operations that pass, best first, each with a score from 0 to 1; equal ones in the scope's order.

    Without similarities, operations that share no word with the query are left out, unless the graph brings them.
    """
    similarities = similarities if "semantic" in parts else None
    terms = query_terms(query.texts)
    idf = inverse_document_frequencies(scope, terms)
    words = bm25(scope, terms, idf) if "lexical" in parts else None
    rows = _candidates(passing, words, similarities)
    if "graph" in parts and len(rows) < passing.sum():
        rows = _with_producers(scope, rows, passing)
    if not len(rows):
        return []
    words = words[rows] if words is not None else None
    cosines = similarities.cosines(rows) if similarities is not None else None
    known = cosines is not None and bool((~np.isnan(cosines[:, 0])).any())
    if cosines is not None:
        cosines = _filled(cosines, words) if known else None
    names = name_match(scope, terms, idf)[rows] if "names" in parts else None
    odds = fusion.log_odds(cosines, words, names, (len(rows), len(query.texts)))
    full = fusion.hinted(odds, _hint(query, scope, rows)) if "hint" in parts else odds
    probability = fusion.probabilities(full)
    passed = _passed(query, scope, rows, probability, odds) if "graph" in parts else []
    alone = _alone(parts, words, cosines)
    return _ranked(rows, probability if alone is None else alone, passed, full, words, cosines)


def _candidates(
    passing: NDArray[np.bool_], words: Columns | None, similarities: Similarities | None
) -> NDArray[np.intp]:
    numbers = np.flatnonzero(passing)
    if len(numbers) <= ALL_CANDIDATES:
        return numbers
    found = [np.empty(0, np.intp)]
    if words is not None:
        for column in (words[numbers]).T:
            best = np.argpartition(-column, DEPTH)[:DEPTH]
            found.append(numbers[best[column[best] > 0]])
    if similarities is not None:
        nearest = similarities.nearest(DEPTH)
        found.append(nearest[passing[nearest]])
    return np.unique(np.concatenate(found))


def _with_producers(scope: Scope, rows: NDArray[np.intp], passing: NDArray[np.bool_]) -> NDArray[np.intp]:
    producers = [producer for number in rows for producer in scope.producers_of(int(number))]
    more: NDArray[np.intp] = np.unique(np.concatenate([rows, *producers]))
    return more[passing[more]]


def _filled(cosines: Columns, words: Columns | None) -> Columns:
    """Return the cosines with those of operations without a vector taken from their words: as near as these are
    good."""
    missing = np.isnan(cosines[:, 0])
    if not missing.any():
        return cosines
    low, high = np.nanmedian(cosines, axis=0), np.nanmax(cosines, axis=0)
    said = np.zeros_like(cosines)
    if words is not None:
        best = words.max(axis=0, initial=0)
        said = np.divide(words, best, out=said, where=best > 0)
    filled: Columns = np.where(missing[:, None], low + (high - low) * said, cosines)
    return filled


def _hint(query: Query, scope: Scope, rows: NDArray[np.intp]) -> Columns:
    names, codes = scope.methods
    methods = Counter(dict(zip(names, np.bincount(codes, minlength=len(names)).tolist(), strict=True)))
    columns = []
    for text in query.texts:
        verb = verb_of(text)
        hints = method_hint(verb, scope.verb_counts(term_key(verb)), methods) if verb else dict.fromkeys(names, 0.0)
        columns.append(np.array([hints[name] for name in names], np.float32)[codes[rows]])
    return np.stack(columns, axis=1)


def _passed(
    query: Query, scope: Scope, rows: NDArray[np.intp], probability: NDArray[np.float64], odds: Columns
) -> graph.Passed:
    def known(producers: Places) -> NDArray[np.intp]:
        found = np.minimum(np.searchsorted(rows, producers), len(rows) - 1)
        there: NDArray[np.intp] = found[rows[found] == producers]
        return there

    needs = [
        (row, [known_rows for need in scope.producers_of(int(rows[row])) if len(known_rows := known(need))])
        for row in graph.best_rows(probability)
    ]
    return graph.pass_on(query.whole, probability, odds, needs)


def _alone(parts: Sequence[Part], words: Columns | None, cosines: Columns | None) -> NDArray[np.float64] | None:
    """Return the scores of a channel that ranks alone: the cosine, or the share of the best one's BM25."""
    if len(parts) > 1:
        return None
    if cosines is not None:
        return np.clip(cosines[:, 0].astype(np.float64), 0, 1)
    if words is not None and (best := words.max()) > 0:
        return (words[:, 0] / best).astype(np.float64)
    return None


def _ranked(
    rows: NDArray[np.intp],
    probability: NDArray[np.float64],
    passed: graph.Passed,
    odds: Columns,
    words: Columns | None,
    cosines: Columns | None,
) -> list[Ranked]:
    final = probability.copy()
    brought: dict[int, tuple[float, int]] = {}
    for giver, taker, share in passed:
        final[taker] += share
        brought[taker] = max(brought.get(taker, (0.0, -1)), (share, giver))
    clauses = odds.argmax(axis=1)
    if odds.shape[1] > 1:
        clauses = odds[:, 1:].argmax(axis=1) + 1
    matched: dict[Channel, NDArray[np.bool_]] = {
        "semantic": _is_matched(cosines, clauses),
        "lexical": _is_matched(words, clauses) & (words is not None and (words > 0).any(axis=1)),
    }
    ranked = []
    for row in np.argsort(-final, kind="stable"):
        share, giver = brought.get(int(row), (0.0, -1))
        if cosines is None and words is not None and not words[row].any() and not share:
            continue
        ranked.append(
            Ranked(
                number=int(rows[row]),
                score=min(1.0, float(final[row])),
                channels=tuple(channel for channel, having in matched.items() if having[row]),
                clause=int(clauses[row]),
                needed_by=int(rows[giver]) if share > probability[row] else None,
            )
        )
    return ranked


def _is_matched(columns: Columns | None, clauses: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return which operations stand among the channel's best for the clause that they answer best."""
    if columns is None:
        return np.zeros(len(clauses), bool)
    if len(columns) <= _MATCH_DEPTH:
        return np.ones(len(clauses), bool)
    least = -np.partition(-columns, _MATCH_DEPTH - 1, axis=0)[_MATCH_DEPTH - 1]
    matched: NDArray[np.bool_] = columns[np.arange(len(clauses)), clauses] >= least[clauses]
    return matched
