from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opdex.openapi.description import Operation
from opdex.ranking.scope import Scope
from opdex.ranking.segment import text_prefixes
from opdex.ranking.words import term_key
from tests.unit.ranking.documents import documents, few, operation, scope

_SCOPES = st.lists(documents(), max_size=3)


@few
@given(_SCOPES)
def test_each_operation_has_one_number_over_all_segments(parts: list[list[Operation]]) -> None:
    found, everything = scope(*parts), [one for part in parts for one in part]
    assert found.count == len(everything)
    assert found.text_hashes(np.arange(found.count)) == b"".join(one.text_hash for one in everything)
    places = [(which, place) for which, part in enumerate(parts) for place in range(len(part))]
    assert [found.locate(number) for number in range(found.count)] == places


@few
@given(_SCOPES)
def test_methods_are_those_of_the_operations(parts: list[list[Operation]]) -> None:
    names, codes = scope(*parts).methods
    assert [names[code] for code in codes] == [one.method for part in parts for one in part]


@few
@given(
    _SCOPES,
    st.sampled_from([None, "GET", "get", "PURGE", "TRACE", ""]),
    st.sampled_from([None, "Pets", "pets", "\n", "\N{GRINNING FACE}", "a", ""]),
    st.sampled_from([None, True, False]),
)
def test_what_passes_has_all_that_is_asked_for(
    parts: list[list[Operation]], method: str | None, tag: str | None, deprecated: bool | None
) -> None:
    expected = [
        (method is None or one.method.upper() == method.upper())
        and (tag is None or tag in one.tags)
        and (deprecated is None or one.deprecated == deprecated)
        for part in parts
        for one in part
    ]
    assert scope(*parts).passing(method, tag, deprecated).tolist() == expected


@few
@given(_SCOPES)
def test_numbers_of_texts_are_all_that_have_them(parts: list[list[Operation]]) -> None:
    found = scope(*parts)
    hashes = [operation(text=text).text_hash for text in ("same", "other", "never")]
    which, numbers = found.numbers_of(text_prefixes(np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, 32)))
    pairs = {(hashes[index], int(number)) for index, number in zip(which, numbers, strict=True)}
    assert pairs == set(zip(_cut(found.text_hashes(np.arange(found.count))), range(found.count), strict=True))


def test_producers_are_those_of_the_same_segment() -> None:
    pets = [operation("GET /pets"), operation("GET /pets/{petId}")]
    found = scope(pets, pets)
    assert [[need.tolist() for need in found.producers_of(number)] for number in range(4)] == [[], [[0]], [], [[2]]]


def test_verbs_are_counted_over_all_segments() -> None:
    found = scope([operation("GET /a", "List a"), operation("POST /a", "List b")], [operation("GET /b", "Lists c")])
    assert found.verb_counts(term_key("list")) == Counter(GET=2, POST=1)


@pytest.mark.parametrize("segments", [[], [[]], [[], []]])
def test_nothing_is_found_where_nothing_is(segments: list[list[Operation]]) -> None:
    found = scope(*segments)
    assert found.count == 0
    assert found.passing("GET", "tag", False).tolist() == []
    assert found.methods[0] == []
    assert [part.tolist() for part in found.numbers_of(np.array([7], np.uint64))] == [[], []]
    assert Scope([]).starts.tolist() == [0]


def _cut(hashes: bytes) -> list[bytes]:
    return [hashes[start : start + 32] for start in range(0, len(hashes), 32)]
