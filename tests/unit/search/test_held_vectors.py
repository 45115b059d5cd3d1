from collections.abc import Callable

import numpy as np

from opdex.search.held_vectors import HeldVectors, Publication, Vectors

_ONE = Publication(1, (1, 1), "7")
_VECTORS = np.ones((4, 2), np.float32)
_SIZE = _VECTORS.nbytes


class _Stored:
    """Vectors that are read one after the other."""

    def __init__(self) -> None:
        self.read = 0

    def __call__(self) -> Vectors:
        self.read += 1
        return _VECTORS * self.read


def _first(held: HeldVectors, publication: Publication, read: Callable[[], Vectors]) -> float | None:
    vectors = held.of(publication, _SIZE, read)
    return None if vectors is None else float(vectors[0, 0])


def test_vectors_are_read_when_asked_for_a_second_time_and_then_held() -> None:
    held, stored = HeldVectors(8 * _SIZE), _Stored()
    assert [_first(held, _ONE, stored) for _ in range(4)] == [None, 1, 1, 1]


def test_vectors_are_read_again_when_another_publication_is_asked_for() -> None:
    held, stored = HeldVectors(8 * _SIZE), _Stored()
    later = Publication(1, (1, 1), "8")
    assert [_first(held, publication, stored) for publication in (_ONE, _ONE, later, later)] == [None, 1, None, 2]


def test_vectors_are_read_again_when_they_were_held_for_long() -> None:
    now = [0.0]
    held, stored = HeldVectors(8 * _SIZE, lambda: now[0]), _Stored()
    assert [_first(held, _ONE, stored) for _ in range(2)] == [None, 1]
    now[0] = 599.0
    assert _first(held, _ONE, stored) == 1
    now[0] = 600.0
    assert [_first(held, _ONE, stored) for _ in range(2)] == [2, 2]


def test_least_used_go_when_there_is_room_for_no_more() -> None:
    held, stored = HeldVectors(9 * _SIZE), _Stored()
    publications = [Publication(1, (spec, 1), "7") for spec in range(10)]
    for publication in publications * 2:
        held.of(publication, _SIZE, stored)
    assert stored.read == 10
    assert _first(held, publications[1], stored) == 2
    assert _first(held, publications[0], stored) == 11
    assert _first(held, publications[1], stored) == 2
    assert _first(held, publications[2], stored) == 12


def test_nothing_is_held_when_it_is_large_for_all_that_may_be_held() -> None:
    held, stored = HeldVectors(8 * _SIZE - 1), _Stored()
    assert [_first(held, _ONE, stored) for _ in range(3)] == [None, None, None]
    assert stored.read == 0


def test_what_was_asked_for_long_ago_is_forgotten() -> None:
    held, stored = HeldVectors(8 * _SIZE), _Stored()
    _first(held, _ONE, stored)
    for spec in range(10_000):
        held.of(Publication(1, (spec, 2), "7"), _SIZE, stored)
    assert _first(held, _ONE, stored) is None
    assert stored.read == 0
