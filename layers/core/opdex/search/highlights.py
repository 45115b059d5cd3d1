"""Highlights: where an operation says words of the query, in one or another of their forms."""

import re
from collections.abc import Set as AbstractSet

from opdex.catalog.models import ListedOperation
from opdex.ranking.words import ACCENTS, UNSPACED, stems
from opdex.search.models import Highlight

MAX_MATCHES, WINDOW = 10, 160
# Characters of a field, which may have 8,000: a page of 500 operations would take 0.7 s.
LOOKED_THROUGH = 2_000
# As `words` splits: names have their words at capitals too.
_WORD = re.compile(
    rf"[{UNSPACED}]|(?:[^\W_{UNSPACED}]|[{ACCENTS}])+?"
    rf"(?=(?<=[a-z0-9])[A-Z]|(?<=[A-Z])[A-Z][a-z]|(?![{ACCENTS}])[\W_{UNSPACED}]|\Z)"
)
_UNSPACED = re.compile(f"[{UNSPACED}]")


def highlights(operation: ListedOperation, query: AbstractSet[str]) -> list[Highlight]:
    """Return, for each field that says stems of the query, the part of it where the first of them are.

    Of a field the first ``LOOKED_THROUGH`` characters are looked through.
    """
    fields = (
        ("summary", operation.summary),
        ("description", operation.description),
        ("path", operation.path),
        ("operation_id", operation.operation_id),
    )
    return [
        Highlight(field=name, text=text[start : start + WINDOW], matches=matches)
        for name, text in fields
        for start, matches in [_matches(text, query)]
        if matches
    ]


def query_stems(query: str) -> frozenset[str]:
    """Return the distinct stems of a query."""
    return frozenset(stems(query))


def _matches(text: str, query: AbstractSet[str]) -> tuple[int, list[tuple[int, int]]]:
    spans: list[tuple[int, int]] = []
    for word in _WORD.finditer(text):
        if word.start() >= (spans[0][0] + WINDOW if spans else LOOKED_THROUGH):
            break
        if query.isdisjoint(stems(word[0])):
            continue
        if spans and spans[-1][1] == word.start() and _UNSPACED.match(word[0]):
            spans[-1] = spans[-1][0], word.end()
        else:
            spans.append(word.span())
    if not spans:
        return 0, []
    start = _window(text, *spans[0])
    inside = [(max(0, first - start), end - start) for first, end in spans if end <= start + WINDOW]
    return start, inside[:MAX_MATCHES]


def _window(text: str, first: int, end: int) -> int:
    """Return where the part of the text begins that has the word: after a space shortly before it, if there is one."""
    if end <= WINDOW:
        return 0
    return max(text.rfind(" ", 0, max(0, first - WINDOW // 4)) + 1, first - WINDOW // 2, end - WINDOW)
