"""What is written to a segment is what is read from it."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opdex.openapi.description import Operation
from opdex.ranking.bm25f import weigh_terms
from opdex.ranking.needs import find_needs
from opdex.ranking.segment import Segment, text_prefixes
from opdex.ranking.segment_builder import build_segment
from opdex.ranking.verbs import count_verbs
from opdex.ranking.words import term_key
from tests.unit.ranking.documents import documents, few, operation, segment


@few
@given(st.sampled_from(["", "Pets", '"\n']), documents())
def test_operations_are_read_as_they_were_written(title: str, operations: list[Operation]) -> None:
    octets = build_segment(title, operations)
    read = Segment(octets)

    assert read.size == len(octets)
    assert read.count == len(operations)
    assert [read.text_hashes[place].tobytes() for place in range(read.count)] == [one.text_hash for one in operations]
    assert [read.method_names[code] for code in read.methods] == [one.method for one in operations]
    assert read.deprecated.tolist() == [one.deprecated for one in operations]
    assert [{read.tag_names[code] for code in read.tags[place]} for place in range(read.count)] == [
        set(one.tags) for one in operations
    ]
    needed = [tuple(tuple(need.tolist()) for need in read.producers_of(place)) for place in range(read.count)]
    assert needed == find_needs(operations)


@few
@given(documents())
def test_postings_are_read_as_they_were_written(operations: list[Operation]) -> None:
    postings = weigh_terms("", operations)
    read = segment(operations)
    assert len(read.terms.places) == len(read.terms.weights) == len(postings)
    keys = np.array([term_key(term) for term in postings], np.uint64)
    for row, (places, weights) in zip(read.terms.rows_of(keys), postings.values(), strict=True):
        assert read.terms.places[row].tolist() == list(places)
        assert read.terms.weights[row].tolist() == pytest.approx(list(weights), rel=1e-3)
    assert read.terms.rows_of(np.array([term_key("never said")], np.uint64)).tolist() == [-1]


@few
@given(documents(), st.lists(st.sampled_from(["pet", "list", "list pet", "never said", "shop"])))
def test_postings_of_several_terms_are_those_of_each(operations: list[Operation], terms: list[str]) -> None:
    postings = weigh_terms("", operations)
    index = segment(operations).terms
    keys = np.array([term_key(term) for term in terms], np.uint64)
    which, places, weights = index.postings(keys)
    expected = [
        (number, *one) for number, term in enumerate(terms) for one in zip(*postings.get(term, ((), ())), strict=True)
    ]
    assert [*zip(which.tolist(), places.tolist(), strict=True)] == [row[:2] for row in expected]
    assert weights.tolist() == pytest.approx([row[2] for row in expected], rel=1e-3)
    assert index.counts(keys).tolist() == [which.tolist().count(number) for number in range(len(terms))]


@few
@given(documents())
def test_verbs_are_read_as_they_were_written(operations: list[Operation]) -> None:
    read = segment(operations)
    counts = Counter({
        (verb, method): count
        for verb in ("list", "get", "creat", "pet", "never")
        for method, count in read.verb_counts(term_key(verb)).items()
    })  # fmt: skip
    expected = {
        key: count for key, count in count_verbs(operations).items() if key[0] in ("list", "get", "creat", "pet")
    }
    assert counts == expected


@few
@given(documents())
def test_places_of_texts_are_all_that_have_them(operations: list[Operation]) -> None:
    read = segment(operations)
    hashes = [*sorted({one.text_hash for one in operations}), bytes(32)]
    prefixes = text_prefixes(np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, 32))
    which, places = read.places_of(prefixes)
    found = {(hashes[index], int(place)) for index, place in zip(which, places, strict=True)}
    assert found == {(one.text_hash, place) for place, one in enumerate(operations)}


@few
@given(documents())
def test_octets_are_the_same_when_a_segment_is_built_again(operations: list[Operation]) -> None:
    assert build_segment("Pets", operations) == build_segment("Pets", list(operations))


def test_arrays_are_aligned_so_that_they_can_be_viewed() -> None:
    read = segment([operation("GET /pets", "List pets", tags=["odd"])] * 3)
    for array in (read.terms.keys, read.terms.places.values, read.terms.weights.values, read.methods):
        assert array.flags.aligned
        assert not array.flags.owndata


def test_segment_is_read_when_no_operation_says_a_word() -> None:
    read = segment([operation("GET /", text="")])
    assert (read.count, len(read.terms.places), len(read.names.places)) == (1, 0, 0)
    assert read.producers_of(0) == []
    assert read.verb_counts(0) == {}


def test_segment_is_built_when_operations_are_as_wordy_as_can_be() -> None:
    # The weights are kept in half precision, which ends at 65,504.
    names = "x " * 1_000
    wordy = operation(
        f"GET /{'x/' * 999}",
        "x " * 500,
        operation_id="x " * 250,
        description="x " * 500,
        parameters=names,
        body_properties=names,
        response_properties=names,
    )
    read = segment([wordy, *(operation(f"GET /{number}") for number in range(500))], "x " * 250)
    assert np.isfinite(read.terms.weights.values).all()
    assert (read.terms.weights.values > 0).all()
