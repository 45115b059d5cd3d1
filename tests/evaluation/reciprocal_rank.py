"""Plain fusion by reciprocal rank, for comparison: Σ 1 / (60 + rank) over the two channels (Cormack et al., 2009)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

K = 60
NAME = "RRF of the two"


def fused(first: Iterable[Mapping[str, Any]], second: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the lines of two rankings of the same queries, in the same order, made one."""
    for one, other in zip(first, second, strict=True):
        if (one["set"], one["query_index"]) != (other["set"], other["query_index"]):
            raise ValueError("The rankings are not of the same queries.")
        yield {**one, "ranked": fuse(one["ranked"], other["ranked"])}


def fuse(*rankings: Sequence[str]) -> list[str]:
    """Return what is in any of the rankings, best first; equal ones as they come in the first ranking."""
    scores: dict[str, float] = {}
    for ranking in rankings:
        for rank, entry in enumerate(ranking, 1):
            scores[entry] = scores.get(entry, 0.0) + 1 / (K + rank)
    return sorted(scores, key=lambda entry: -scores[entry])
