"""The API graph of one document: which operations list what another one's path parameters name.

An operation needs each of its path parameters. What one is of is said by its name without id, key and the like, and by
the path segment before it, in the singular. Producers of it are the GETs whose path ends in that noun and not in a
parameter, those that answer with a list of schemas of that name, `/me` for users and accounts, and the document's
searches, where there are few. More than forty say nothing: such a need is left out.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from opdex.openapi.description import Operation
from opdex.openapi.fields import WRAPPERS
from opdex.ranking.words import stem, stems, words

MAX_NEEDS, MAX_PRODUCERS, MAX_SEARCHES = 20, 40, 3
_PARAMETER = re.compile(r"\{([^{}]*)\}")
_KEYS = frozenset({"id", "ids", "gid", "uuid", "key", "slug", "name", "number", "code"})
_SELF = frozenset({stem("user"), stem("account")})

type Need = tuple[int, ...]  # the producers' places


def find_needs(operations: Sequence[Operation]) -> list[tuple[Need, ...]]:
    """Return, for each operation, the producers of each thing that it needs; needs that nothing produces are left
    out."""
    producers = _Producers(operations)
    needs = []
    for place, operation in enumerate(operations):
        found = (producers.of(nouns) for nouns in islice(_needed(operation.path), MAX_NEEDS))
        others = (tuple(producer for producer in need if producer != place) for need in found)
        needs.append(tuple(need for need in others if need))
    return needs


class _Producers:
    def __init__(self, operations: Sequence[Operation]) -> None:
        self._by_noun: dict[str, set[int]] = {}
        self._me: set[int] = set()
        searches: set[int] = set()
        for place, operation in enumerate(operations):
            path = operation.path.rstrip("/")
            if operation.method != "GET" or path.endswith("}"):
                continue
            for noun in _produced(operation):
                self._by_noun.setdefault(noun, set()).add(place)
            if path.endswith("/me"):
                self._me.add(place)
            if "search" in path.lower():
                searches.add(place)
        self._searches = searches if len(searches) <= MAX_SEARCHES else set()
        self._found: dict[frozenset[str], Need] = {}

    def of(self, nouns: frozenset[str]) -> Need:
        if nouns not in self._found:
            having = [self._by_noun.get(noun, set()) for noun in nouns]
            if nouns & _SELF:
                having.append(self._me)
            # A common noun has many thousands: they are not put together only to be counted.
            found: set[int] = (
                set() if max(map(len, having), default=0) > MAX_PRODUCERS else self._searches.union(*having)
            )
            self._found[nouns] = tuple(sorted(found)) if len(found) <= MAX_PRODUCERS else ()
        return self._found[nouns]


def _needed(path: str) -> Iterator[frozenset[str]]:
    """Yield the nouns of each path parameter: its own, and the one of the segment before it."""
    before = ""
    for segment in filter(None, path.split("/")):
        for name in _PARAMETER.findall(segment):
            own = [stem(word) for word in words(name) if word not in _KEYS]
            yield frozenset(own[-1:] + stems(before)[-1:])
        before = "" if segment.startswith("{") else segment


def _produced(operation: Operation) -> set[str]:
    segments = [segment for segment in operation.path.split("/") if segment and not segment.startswith("{")]
    nouns = set(stems(segments[-1])) if segments else set()
    if not set(WRAPPERS).isdisjoint(operation.fields.response_properties.split()):
        nouns.update(stems(operation.fields.response_schema))
    return nouns
