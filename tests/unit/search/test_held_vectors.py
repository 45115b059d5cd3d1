import numpy as np

from opdex.search.held_vectors import HeldVectors, Publication
from opdex.search.segment_cache import Edition

_VECTORS = np.ones((4, 2), np.float32)
_SIZE = _VECTORS.nbytes


def _publication(number: int, version: str = "7") -> Publication:
    return Publication(1, Edition((number, 1), ""), version)


def test_vectors_are_due_when_they_are_asked_for_again() -> None:
    held = HeldVectors(_SIZE)
    assert [held.is_due(_publication(1)) for _ in range(3)] == [False, True, True]
    assert not held.is_due(_publication(1, version="8"))


def test_vectors_are_not_due_when_they_were_asked_for_long_ago() -> None:
    held = HeldVectors(_SIZE)
    for number in (1, *range(2, 10_001), 1, 10_001):
        held.is_due(_publication(number))
    assert held.is_due(_publication(1))
    assert not held.is_due(_publication(2))


def test_vectors_are_held_for_the_publication_that_they_are_of() -> None:
    held = HeldVectors(_SIZE)
    assert held.of(_publication(1)) is None
    held.hold(_publication(1), _VECTORS)
    assert held.of(_publication(1)) is _VECTORS
    assert held.of(_publication(1, version="8")) is None


def test_vectors_are_forgotten_when_they_were_held_for_long() -> None:
    now = [5.0]
    held = HeldVectors(_SIZE, lambda: now[0])
    held.hold(_publication(1), _VECTORS)
    now[0] = 604.0
    assert held.of(_publication(1)) is _VECTORS
    now[0] = 605.0
    assert held.of(_publication(1)) is None
    held.hold(_publication(1), _VECTORS)
    assert held.of(_publication(1)) is _VECTORS


def test_least_used_go_when_there_is_room_for_no_more() -> None:
    held = HeldVectors(2 * _SIZE)
    held.hold(_publication(1), _VECTORS)
    held.hold(_publication(2), _VECTORS)
    held.of(_publication(1))
    held.hold(_publication(3), _VECTORS)
    assert [held.of(_publication(number)) is None for number in (1, 2, 3)] == [False, True, False]


def test_nothing_is_held_when_there_is_no_room() -> None:
    held = HeldVectors(_SIZE - 1)
    held.hold(_publication(1), _VECTORS)
    assert held.of(_publication(1)) is None
