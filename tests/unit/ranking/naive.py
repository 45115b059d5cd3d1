"""The formulas of the words' part of the ranking once more, with nothing but dictionaries: slow and plain."""

import math
from collections.abc import Sequence
from itertools import pairwise

from opdex.openapi.description import Operation
from opdex.ranking.words import stems

WEIGHTS = {
    "path": 2, "operation_id": 2, "summary": 3, "description": 1, "parameters": 0.7, "tags": 0.5,
    "body_properties": 0.5, "path_parameters": 0.5, "response_description": 0.3, "response_schema": 0.3,
    "response_properties": 0.2, "parameter_descriptions": 0.2, "title": 0.2,
}  # fmt: skip


def terms_of(text: str) -> list[str]:
    """Return the stems and the bigrams of a text."""
    said = stems(text)
    return [*said, *(f"{first} {second}" for first, second in pairwise(said))]


def name_of(operation: Operation) -> str:
    """Return the operationId that the document gives."""
    return "" if operation.operation_id == f"{operation.method} {operation.path}" else operation.operation_id


def fields(title: str, operation: Operation) -> dict[str, str]:
    """Return the text of each field."""
    outside = " ".join(part for part in operation.path.split("/") if not part.startswith("{"))
    around = {name: getattr(operation.fields, name) for name in WEIGHTS if hasattr(operation.fields, name)}
    said = {"summary": operation.summary, "description": operation.description[:1000], "title": title, "path": outside}
    return {**around, **said, "operation_id": name_of(operation), "tags": " ".join(operation.tags)}


def weights(title: str, operations: Sequence[Operation]) -> list[dict[str, float]]:
    """Return each operation's tf~ of each term."""
    said = [fields(title, operation) for operation in operations]
    mean = {name: sum(len(stems(texts[name])) for texts in said) / len(said) for name in WEIGHTS} if said else {}
    return [
        {
            term: sum(
                WEIGHTS[name] * terms_of(text).count(term) / (0.25 + 0.75 * len(stems(text)) / mean[name])
                for name, text in texts.items()
                if stems(text)
            )
            for term in {term for text in texts.values() for term in terms_of(text)}
        }
        for texts in said
    ]


def idf(term: str, said: Sequence[dict[str, float]]) -> float:
    """Return ln(1 + (N - df + 0.5) / (df + 0.5))."""
    having = sum(term in terms for terms in said)
    return math.log(1 + (len(said) - having + 0.5) / (having + 0.5))


def bm25(query: str, said: Sequence[dict[str, float]]) -> list[float]:
    """Return each operation's score."""
    return [
        sum(
            (0.5 if " " in term else 1) * idf(term, said) * terms[term] * 2.5 / (1.5 + terms[term])
            for term in set(terms_of(query)) & terms.keys()
        )
        for terms in said
    ]


def name_match(
    query: str, operations: Sequence[Operation], said: Sequence[dict[str, float]], of_scope: Sequence[dict[str, float]]
) -> list[float]:
    """Return the cosine of the query and each operationId: the query weighted over the scope, the names over theirs."""
    asked = {term: idf(term, of_scope) for term in set(stems(query))}
    names = [{term: idf(term, said) for term in set(stems(name_of(operation)))} for operation in operations]
    return [
        sum(weight * name.get(term, 0) for term, weight in asked.items())
        / (math.hypot(*asked.values()) * math.hypot(*name.values()) or 1)
        for name in names
    ]
