"""The ranking of a scope's operations for a query, from all its parts: words, vectors, names, clauses, hint and
graph."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
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
from opdex.ranking.segment import Places, text_prefixes
from opdex.ranking.selection import greatest
from opdex.ranking.words import term_key

# Where no more operations than this pass the filters, all are candidates; of more, the best of each channel and clause.
ALL_CANDIDATES = 4_000
DEPTH = 300
# No more are ranked then. Candidates are what costs: only who asks for more than so many of them gets, after these, the
# best of more candidates; so a page is the same however many are asked for.
MOST_RANKED = 1_000
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

    ``clause``: which of the query's clauses it has the greatest share of; ``needed_by``: the number of the operation
    that brought it, where the graph gave it more than its own words and meaning.
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
    limit: int | None = None,
) -> list[Ranked]:
    """Return the operations that pass, best first, each with a score from 0 to 1; equal ones in the scope's order.

    No more than ``limit`` are made out; the ranking is over all, and its beginning is the same whatever the limit.
    Without similarities, operations that share no word with the query are left out, unless the graph brings them.
    """
    terms = query_terms(query.texts)
    idf = inverse_document_frequencies(scope, terms)
    evidence = _Evidence(
        words=bm25(scope, terms, idf),
        names=name_match(scope, terms, idf) if "names" in parts else None,
        similarities=similarities if "semantic" in parts else None,
        columns=len(query.texts),
    )
    if passing.sum() <= ALL_CANDIDATES:
        return _best(query, scope, passing, evidence, parts, ALL_CANDIDATES, limit)
    wanted = MOST_RANKED if limit is None else min(limit, MOST_RANKED)
    best = _best(query, scope, passing, evidence, parts, DEPTH, min(wanted, DEPTH))
    if wanted > len(best):
        known = {hit.number for hit in best}
        deeper = _best(query, scope, passing, evidence, parts, MOST_RANKED, None)
        best += [replace(hit, score=min(hit.score, best[-1].score)) for hit in deeper if hit.number not in known]
    return best[:wanted]


def is_cut_short(ranked: int, passing: int) -> bool:
    """Return whether of so many operations that pass no more than these are ever ranked."""
    return passing > ALL_CANDIDATES and ranked >= MOST_RANKED


class _Evidence:
    """What is known of the operations before they are weighed; cosines are asked for once an operation."""

    def __init__(self, words: Columns, names: Columns | None, similarities: Similarities | None, columns: int) -> None:
        self.words = words
        self.names = names
        self.similarities = similarities
        self._rows = np.empty(0, np.intp)
        self._cosines = np.empty((0, columns), np.float32)

    def cosines(self, rows: NDArray[np.intp]) -> Columns | None:
        """Return the cosines of these operations, in ascending order; None where none of them has a vector."""
        if self.similarities is None:
            return None
        new = np.setdiff1d(rows, self._rows, assume_unique=True)
        if len(new):
            both = np.concatenate([self._rows, new])
            cosines = np.concatenate([self._cosines, self.similarities.cosines(new)])
            order = np.argsort(both)
            self._rows, self._cosines = both[order], cosines[order]
        found: Columns = self._cosines[np.searchsorted(self._rows, rows)]
        return None if np.isnan(found[:, 0]).all() else found


def _best(
    query: Query,
    scope: Scope,
    passing: NDArray[np.bool_],
    evidence: _Evidence,
    parts: Sequence[Part],
    depth: int,
    limit: int | None,
) -> list[Ranked]:
    """Return the candidates, best first."""
    rows = _candidates(passing, evidence, depth)
    if not len(rows):
        return []
    weighed = _weigh(query, scope, rows, evidence, parts)
    if "graph" in parts and len(rows) < passing.sum():
        producers = _producers_of_best(scope, weighed, passing)
        if len(producers) > len(rows):
            weighed = _weigh(query, scope, producers, evidence, parts)
    passed = _passed(query, scope, weighed) if "graph" in parts else []
    return _ranked(weighed, passed, parts, limit)


@dataclass(frozen=True, slots=True)
class _Weighed:
    """The candidates' numbers in ascending order, what each channel says of them, and what comes of it.

    ``cosines`` of operations without a vector are made of their words.
    """

    rows: NDArray[np.intp]
    words: Columns
    cosines: Columns | None
    has_vector: NDArray[np.bool_]
    odds: Columns
    hinted: Columns
    probability: NDArray[np.float64]


def _weigh(query: Query, scope: Scope, rows: NDArray[np.intp], evidence: _Evidence, parts: Sequence[Part]) -> _Weighed:
    words = evidence.words[rows]
    names = evidence.names[rows] if evidence.names is not None else None
    cosines, has_vector = evidence.cosines(rows), np.zeros(len(rows), bool)
    if cosines is not None:
        has_vector = ~np.isnan(cosines[:, 0])
        cosines = _filled(cosines, words, has_vector)
    odds = fusion.log_odds(cosines, words if "lexical" in parts else None, names, words.shape)
    hinted = fusion.hinted(odds, _hint(query, scope, rows)) if "hint" in parts else odds
    return _Weighed(rows, words, cosines, has_vector, odds, hinted, fusion.probabilities(hinted))


def _candidates(passing: NDArray[np.bool_], evidence: _Evidence, depth: int) -> NDArray[np.intp]:
    numbers = np.flatnonzero(passing)
    if len(numbers) <= ALL_CANDIDATES:
        return numbers
    found = [np.empty(0, np.intp)]
    for column in evidence.words[numbers].T:
        best = greatest(column, depth)
        found.append(numbers[best[column[best] > 0]])
    if evidence.similarities is not None:
        nearest = evidence.similarities.nearest(depth)
        found.append(nearest[passing[nearest]])
    return np.unique(np.concatenate(found))


def _producers_of_best(scope: Scope, weighed: _Weighed, passing: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the candidates with those that produce what the best of them need."""
    producers = [
        producer for row in _best_rows(scope, weighed) for producer in scope.producers_of(int(weighed.rows[row]))
    ]
    more: NDArray[np.intp] = np.unique(np.concatenate([np.empty(0, np.intp), *producers]))
    return np.union1d(weighed.rows, more[passing[more]])


def _best_rows(scope: Scope, weighed: _Weighed) -> list[int]:
    hashes = np.frombuffer(scope.text_hashes(weighed.rows), np.uint8).reshape(-1, 32)
    return graph.best_rows(weighed.probability, text_prefixes(hashes))


def _filled(cosines: Columns, words: Columns, has_vector: NDArray[np.bool_]) -> Columns:
    """Return the cosines, those of operations without a vector made of their words: as near as these are good."""
    if has_vector.all():
        return cosines
    low, high = np.nanmedian(cosines, axis=0), np.nanmax(cosines, axis=0)
    best = words.max(axis=0, initial=0)
    said = np.divide(words, best, out=np.zeros_like(words), where=best > 0)
    filled: Columns = np.where(has_vector[:, None], cosines, low + (high - low) * said)
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


def _passed(query: Query, scope: Scope, weighed: _Weighed) -> graph.Passed:
    rows = weighed.rows

    def known(producers: Places) -> NDArray[np.intp]:
        found = np.minimum(np.searchsorted(rows, producers), len(rows) - 1)
        there: NDArray[np.intp] = found[rows[found] == producers]
        return there

    best = _best_rows(scope, weighed)
    if weighed.cosines is None:
        best = [row for row in best if weighed.words[row].any()]  # the others are there for nothing
    needs = [
        (row, [known_rows for need in scope.producers_of(int(rows[row])) if len(known_rows := known(need))])
        for row in best
    ]
    return graph.pass_on(query.whole, weighed.probability, weighed.odds, needs)


def _alone(parts: Sequence[Part], weighed: _Weighed) -> NDArray[np.float64] | None:
    """Return the scores of a channel that ranks alone: the cosine, or the share of the best one's BM25."""
    if tuple(parts) not in (("semantic",), ("lexical",)):
        return None
    if weighed.cosines is not None:
        return weighed.cosines[:, 0].astype(np.float64)
    words = weighed.words[:, 0].astype(np.float64)
    return words / words.max() if words.any() else None


def _ranked(weighed: _Weighed, passed: graph.Passed, parts: Sequence[Part], limit: int | None) -> list[Ranked]:
    alone = _alone(parts, weighed)
    own = weighed.probability if alone is None else alone
    final, brought = own.copy(), np.zeros(len(own))
    givers: dict[int, tuple[float, int]] = {}
    for giver, taker, share in passed:
        final[taker] += share
        brought[taker] += share
        givers[taker] = max(givers.get(taker, (0.0, -1)), (share, giver))
    columns = weighed.hinted.shape[1]
    clauses = fusion.softmax(weighed.hinted[:, 1:]).argmax(axis=1) + 1 if columns > 1 else np.zeros(len(own), np.intp)
    said = weighed.words.any(axis=1)
    matched: dict[Channel, NDArray[np.bool_]] = {
        "semantic": _is_matched(weighed.cosines, clauses) & weighed.has_vector,
        "lexical": _is_matched(weighed.words, clauses) & said & (("lexical" in parts) | ~weighed.has_vector),
    }
    order = np.argsort(-final, kind="stable")
    if weighed.cosines is None:
        order = order[(said | (brought > 0))[order]]
    return [
        Ranked(
            number=int(weighed.rows[row]),
            score=min(1.0, max(0.0, float(final[row]))),
            channels=tuple(channel for channel, having in matched.items() if having[row]),
            clause=int(clauses[row]),
            needed_by=int(weighed.rows[givers[row][1]]) if brought[row] > max(0.0, own[row]) else None,
        )
        for row in map(int, order[:limit])
    ]


def _is_matched(columns: Columns | None, clauses: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return which operations stand among the channel's best for the clause that they answer best."""
    if columns is None:
        return np.zeros(len(clauses), bool)
    if len(columns) <= _MATCH_DEPTH:
        return np.ones(len(clauses), bool)
    least = -np.partition(-columns, _MATCH_DEPTH - 1, axis=0)[_MATCH_DEPTH - 1]
    matched: NDArray[np.bool_] = columns[np.arange(len(clauses)), clauses] >= least[clauses]
    return matched
