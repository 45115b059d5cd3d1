from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opdex.openapi.description import Operation
from opdex.ranking.bm25f import FIELD_WEIGHTS, given_operation_id, weigh_terms
from tests.unit.ranking import naive
from tests.unit.ranking.documents import documents, few, operation, segment


def weighed(title: str, operations: Sequence[Operation]) -> list[dict[str, float]]:
    """Return the postings turned round: the terms of each operation."""
    said: list[dict[str, float]] = [{} for _ in operations]
    for term, (places, weights) in weigh_terms(title, operations).items():
        assert list(places) == sorted(set(places))
        for place, weight in zip(places, weights, strict=True):
            said[place][term] = weight
    return said


def test_weight_is_that_of_the_field_when_it_has_the_mean_length() -> None:
    (said,) = weighed("", [operation("GET /pets", "Shops")])
    assert said == {"pet": pytest.approx(2), "shop": pytest.approx(3)}


def test_weight_is_less_when_the_field_is_longer_than_others() -> None:
    short, long = weighed("", [operation(summary="pet"), operation(summary="pet shop owner")])
    assert short["pet"] == pytest.approx(3 / (0.25 + 0.75 * 1 / 2))
    assert long["pet"] == pytest.approx(3 / (0.25 + 0.75 * 3 / 2))
    assert long["pet shop"] == long["shop owner"] == long["pet"]


def test_weights_of_all_fields_are_added() -> None:
    (said,) = weighed("pet", [operation("GET /pet", "pet", operation_id="pet", description="pet", tags=["pet"])])
    assert said["pet"] == pytest.approx(2 + 3 + 2 + 1 + 0.5 + 0.2)


def test_no_bigram_goes_over_the_end_of_a_field() -> None:
    (said,) = weighed("", [operation("GET /a1", "b2", description="c3")])
    assert said.keys() == {"a1", "b2", "c3"}


def test_parameters_in_the_path_are_no_words_of_it() -> None:
    (said,) = weighed("", [operation("GET /pets/{ownerId}")])
    assert said.keys() == {"pet"}


def test_long_description_is_read_to_a_thousand_characters() -> None:
    (said,) = weighed("", [operation(description="x" * 990 + " seen " + "y" * 10 + " unseen")])
    assert "seen" in said
    assert "unseen" not in said


def test_first_terms_are_kept_when_a_document_has_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opdex.ranking.bm25f.MAX_TERMS", 4)
    operations = [
        operation("GET /pets", "shop owner"),
        operation("GET /others", "pet shop", operation_id="otherPets"),
    ]
    first, second = weighed("", operations)
    assert first.keys() == {"pet", "shop", "owner", "shop owner"}
    assert second.keys() == {"pet", "shop"}
    assert segment(operations).names.weights.values.tolist() == [1]


def test_nothing_is_weighed_when_there_is_nothing() -> None:
    assert weigh_terms("Pets", []) == {}


def test_fields_have_the_weights_of_the_plain_formula() -> None:
    assert FIELD_WEIGHTS == naive.WEIGHTS


@few
@given(st.sampled_from(["", "Pets API"]), documents())
def test_weights_are_those_of_the_formula(title: str, operations: list[Operation]) -> None:
    for said, expected in zip(weighed(title, operations), naive.weights(title, operations), strict=True):
        assert said == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("operation_id", "given_id"), [("", ""), ("listPets", "listPets"), ("GET /x (2)", "")])
def test_operation_id_is_given_when_it_is_no_address(operation_id: str, given_id: str) -> None:
    assert given_operation_id(operation("GET /x", operation_id=operation_id)) == given_id
