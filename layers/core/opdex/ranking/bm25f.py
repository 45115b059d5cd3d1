"""BM25F's side of the documents: how much an operation says of a term, over all its fields.

Of a term t in an operation it is Σ_f w_f · tf_f(t) / (1 - b + b · len_f / avg_f), b = 0.75, where avg_f is the mean
length of field f in the operation's document (Zaragoza et al., TREC 2004, with bigrams as further terms). ``bm25``
scores with it.
"""

from array import array
from collections.abc import Iterator, Mapping, Sequence

from opdex.openapi.description import Operation
from opdex.openapi.operation_text import PATH_PARAMETER
from opdex.ranking.words import bigrams, stems

B = 0.75
MAX_DESCRIPTION = 1000
# Of one document. Real ones of 1,200 operations have under 20,000; one that hardly repeats a word would take gigabytes.
MAX_TERMS = 500_000
FIELD_WEIGHTS = {
    "path": 2.0,
    "operation_id": 2.0,
    "summary": 3.0,
    "description": 1.0,
    "parameters": 0.7,
    "tags": 0.5,
    "body_properties": 0.5,
    "path_parameters": 0.5,
    "response_description": 0.3,
    "response_schema": 0.3,
    "response_properties": 0.2,
    "parameter_descriptions": 0.2,
    "title": 0.2,
}

type Postings = tuple[array[int], array[float]]  # places, ascending, and the weight at each


def given_operation_id(operation: Operation) -> str:
    """Return the document's operationId; "" where the operation is known by its method and path."""
    return "" if operation.operation_id.startswith(f"{operation.method} ") else operation.operation_id


def weigh_terms(title: str, operations: Sequence[Operation]) -> dict[str, Postings]:
    """Return the postings of each stem and each bigram of a document's operations; a place is a position in them.

    Terms that come first past ``MAX_TERMS`` others are left out.
    """
    title_stems = stems(title)
    said = [_fields(title_stems, operation) for operation in operations]
    totals = dict.fromkeys(FIELD_WEIGHTS, 0)
    for fields in said:
        for field, terms in fields.items():
            totals[field] += len(terms)
    postings: dict[str, Postings] = {}
    for place, fields in enumerate(said):
        for term, weight in _weights(fields, totals, len(said)).items():
            if term not in postings:
                if len(postings) >= MAX_TERMS:
                    continue
                postings[term] = array("I"), array("f")
            places, weights = postings[term]
            places.append(place)
            weights.append(weight)
    return postings


def _fields(title_stems: list[str], operation: Operation) -> dict[str, list[str]]:
    texts: Iterator[tuple[str, str]] = iter({
        "path": PATH_PARAMETER.sub(" ", operation.path),
        "operation_id": given_operation_id(operation),
        "summary": operation.summary,
        "description": operation.description[:MAX_DESCRIPTION],
        "tags": " ".join(operation.tags),
        "parameters": operation.fields.parameters,
        "body_properties": operation.fields.body_properties,
        "path_parameters": operation.fields.path_parameters,
        "response_description": operation.fields.response_description,
        "response_schema": operation.fields.response_schema,
        "response_properties": operation.fields.response_properties,
        "parameter_descriptions": operation.fields.parameter_descriptions,
    }.items())  # fmt: skip
    return {field: stems(text) for field, text in texts if text} | {"title": title_stems}


def _weights(fields: Mapping[str, list[str]], totals: Mapping[str, int], count: int) -> dict[str, float]:
    weights: dict[str, float] = {}
    for field, terms in fields.items():
        if not terms:
            continue
        share = FIELD_WEIGHTS[field] / (1 - B + B * len(terms) * count / totals[field])
        for term in (*terms, *bigrams(terms)):
            weights[term] = weights.get(term, 0.0) + share
    return weights
