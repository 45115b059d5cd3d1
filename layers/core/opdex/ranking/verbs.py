"""The verbs that a document's operations begin with, and with which method each goes."""

from collections import Counter
from collections.abc import Sequence

from opdex.openapi.description import Operation
from opdex.ranking.bm25f import given_operation_id
from opdex.ranking.words import stem, words

_BEGINNING = 100  # characters: enough for the first word


def count_verbs(operations: Sequence[Operation]) -> Counter[tuple[str, str]]:
    """Return how many operations of a method have a summary, description or operationId that begins with a stem."""
    counts: Counter[tuple[str, str]] = Counter()
    for operation in operations:
        beginnings = (operation.summary, operation.description, given_operation_id(operation))
        first = {stem(said[0]) for text in beginnings if (said := words(text[:_BEGINNING]))}
        counts.update((verb, operation.method) for verb in first)
    return counts
