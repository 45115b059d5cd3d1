"""The graph's part of the ranking: what the best operations need is wanted too.

final(d) = p(d) + λ · Σ_{o of the best 20 texts} p(o) · Σ_{needs of o} softmax over the need's producers of
(max_c L / 4), L without the hint; λ = 0.5, and a fifth of it where the query already holds an id.
"""

import re
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from opdex.ranking.fusion import FLAT, Columns, softmax

BEST, MOST_ROWS = 20, 400
SHARE, SHARE_WITH_ID = 0.5, 0.1
_ID = re.compile(r"\d{4,}|\b(?:id|gid|uuid)s?\b", re.IGNORECASE)
_TOKEN = re.compile(r"[A-Za-z0-9_-]{6,}")

type Passed = list[tuple[int, int, float]]  # (from, to, how much), as rows


def holds_id(query: str) -> bool:
    """Return whether the query names what it is about by an id: four digits, letters and digits mixed, or the word."""
    if _ID.search(query):
        return True
    return any(
        any(char.isdigit() for char in token) and any(char.isalpha() for char in token)
        for token in _TOKEN.findall(query)
    )


def best_rows(probability: NDArray[np.float64], texts: NDArray[np.uint64]) -> list[int]:
    """Return the rows that have the best 20 texts, best first: where a catalog was cloned, its copies too.

    Of those no more than the best ``MOST_ROWS``. ``texts``: a number a row, the same where the text is.
    """
    order = np.argsort(-probability, kind="stable")
    firsts = np.sort(np.unique(texts[order], return_index=True)[1])
    end = firsts[BEST] if len(firsts) > BEST else len(order)
    return [int(row) for row in order[: min(end, MOST_ROWS)]]


def pass_on(
    query: str, probability: NDArray[np.float64], odds: Columns, needs: Iterable[tuple[int, Sequence[NDArray[np.intp]]]]
) -> Passed:
    """Return what each of the best passes to the producers of what it needs. ``needs``: (row, producers' rows)."""
    share = SHARE_WITH_ID if holds_id(query) else SHARE
    flat = odds.max(axis=1) / FLAT
    return [
        (row, int(producer), float(share * probability[row] * part))
        for row, producers_of_each in needs
        for producers in producers_of_each
        for producer, part in zip(producers, softmax(flat[producers]), strict=True)
    ]
