import math

import numpy as np
import pytest
from hypothesis import given

from opdex.openapi.description import Operation
from opdex.ranking.lexical import bm25, inverse_document_frequencies, name_match, query_terms
from tests.unit.ranking import naive
from tests.unit.ranking.documents import documents, few, operation, queries, scope

_HALF_PRECISION = 2e-3


def test_terms_are_the_distinct_stems_and_bigrams_of_the_texts() -> None:
    query = query_terms(["list pets, list pets", "pets"])
    assert query.terms == ("list", "pet", "list pet", "pet list")
    assert query.weights.tolist() == [[1, 0], [1, 1], [0.5, 0], [0.5, 0]]
    assert query.stems.tolist() == [True, True, False, False]


def test_score_is_that_of_the_formula_when_computed_by_hand() -> None:
    found = scope([operation("GET /a", "pets"), operation("GET /b", "shops")])
    query = query_terms(["pet"])
    idf = inverse_document_frequencies(found, query)
    assert idf[0] == pytest.approx(math.log(1 + 1.5 / 1.5))
    assert bm25(found, query, idf)[:, 0].tolist() == pytest.approx([math.log(2) * 3 * 2.5 / 4.5, 0])


def test_name_matches_wholly_when_the_query_says_its_words() -> None:
    found = scope([operation(operation_id="listPets"), operation("GET /y", operation_id="listOwners"), operation()])
    query = query_terms(["pets list", "nothing"])
    matched = name_match(found, query, inverse_document_frequencies(found, query))
    assert matched[0, 0] == pytest.approx(1, abs=_HALF_PRECISION)
    assert 0 < matched[1, 0] < 0.5
    assert matched[2].tolist() == [0, 0]
    assert matched[:, 1].tolist() == [0, 0, 0]


@pytest.mark.parametrize("text", ["", "the of", "\x00", ";--"])
def test_scores_are_nothing_when_the_query_says_nothing(text: str) -> None:
    found = scope([operation(operation_id="listPets")])
    query = query_terms([text, text])
    idf = inverse_document_frequencies(found, query)
    for scores in (bm25(found, query, idf), name_match(found, query, idf)):
        assert scores.tolist() == [[0, 0]]


@few
@given(documents(), queries)
def test_scores_are_those_of_the_formulas(operations: list[Operation], texts: list[str]) -> None:
    found, said = scope(operations), naive.weights("", operations)
    query = query_terms(texts)
    idf = inverse_document_frequencies(found, query)
    scores, names = bm25(found, query, idf), name_match(found, query, idf)
    assert scores.shape == names.shape == (len(operations), len(texts))
    for column, text in enumerate(texts):
        assert scores[:, column].tolist() == pytest.approx(naive.bm25(text, said), rel=_HALF_PRECISION)
        expected = naive.name_match(text, operations, said, said)
        assert names[:, column].tolist() == pytest.approx(expected, abs=_HALF_PRECISION)


@few
@given(documents(), documents(), queries)
def test_frequencies_are_those_of_all_segments(one: list[Operation], other: list[Operation], texts: list[str]) -> None:
    query = query_terms(texts)
    said = naive.weights("", one) + naive.weights("", other)
    expected = [naive.idf(term, said) for term in query.terms]
    assert inverse_document_frequencies(scope(one, other), query).tolist() == pytest.approx(expected, rel=1e-5)


@few
@given(documents(min_size=1), queries)
def test_segments_of_the_same_document_score_alike(operations: list[Operation], texts: list[str]) -> None:
    # Each field has its mean length in both, so only the place of an operation differs.
    twice = scope(operations, operations)
    query = query_terms(texts)
    scores = bm25(twice, query, inverse_document_frequencies(twice, query))
    assert np.array_equal(scores[: len(operations)], scores[len(operations) :])
    both = scope(operations + operations)
    assert scores == pytest.approx(bm25(both, query, inverse_document_frequencies(both, query)), rel=_HALF_PRECISION)
