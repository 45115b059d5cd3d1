from collections.abc import Iterable, Sequence
from typing import cast

import pytest

from opdex.catalog.segments import Origin
from opdex.database import Connection
from opdex.ranking.segment_builder import build_segment
from opdex.search.segment_cache import MAKING_SECONDS, Edition, Loaded, SegmentCache
from tests.unit.ranking.documents import operation

_CONNECTION = cast(Connection, None)
_POOR, _RICH = build_segment("", [operation("GET /pets")]), build_segment("Pets", [operation("GET /pets")] * 3)


class Stored:
    """The stored segments, and what was asked of them. Making one takes ``seconds`` of the clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.octets: dict[Origin, bytes] = {}
        self.rows: dict[Origin, bytes | None] = {}
        self.read: list[list[Origin]] = []
        self.made: list[Origin] = []
        self.seconds = 0.0
        self._now = 0.0
        monkeypatch.setattr("opdex.search.segment_cache.segment_sizes", self._sizes)
        monkeypatch.setattr("opdex.search.segment_cache.read_segments", self._read)
        monkeypatch.setattr("opdex.search.segment_cache.make_segment", self._make)

    def cache(self, max_bytes: int = 1_000_000) -> SegmentCache:
        return SegmentCache(max_bytes, clock=lambda: self._now)

    def _sizes(self, connection: Connection, origins: Iterable[Origin]) -> dict[Origin, int]:
        return {origin: len(self.octets[origin]) for origin in origins if origin in self.octets}

    def _read(self, connection: Connection, origins: Iterable[Origin]) -> dict[Origin, bytes]:
        wanted = list(origins)
        self.read.append(wanted)
        return {origin: self.octets[origin] for origin in wanted}

    def _make(self, connection: Connection, origin: Origin) -> bytes | None:
        self.made.append(origin)
        self._now += self.seconds
        return self.rows[origin]


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> Stored:
    return Stored(monkeypatch)


def editions(origins: Iterable[Origin], content: str = "") -> list[Edition]:
    return [Edition(origin, content) for origin in origins]


def load(cache: SegmentCache, origins: Iterable[Origin]) -> Loaded:
    return cache.load(_CONNECTION, editions(origins))


def counts(cache: SegmentCache, origins: Sequence[Origin], content: str = "") -> list[int]:
    """Return how many operations each origin's segment has; of those alone that there is one of."""
    wanted = editions(origins, content)
    loaded = cache.load(_CONNECTION, wanted)
    return [loaded.segments[edition].count for edition in wanted if edition in loaded.segments]


def test_segments_are_read_once_and_in_one_statement(stored: Stored) -> None:
    stored.octets = {(1, 1): _POOR, (2, 1): _RICH}
    cache = stored.cache()
    assert counts(cache, [(2, 1), (1, 1), (2, 1)]) == [3, 1, 3]
    assert counts(cache, [(1, 1)]) == [1]
    assert counts(cache, []) == []
    assert stored.read == [[(2, 1), (1, 1)]]


def test_segment_is_read_again_when_its_revision_is_another_one_of_the_same_number(stored: Stored) -> None:
    stored.octets = {(1, 1): _POOR}
    cache = stored.cache()
    assert counts(cache, [(1, 1)], "before") == [1]
    stored.octets = {(1, 1): _RICH}
    assert counts(cache, [(1, 1)], "restored") == [3]


def test_segments_are_read_in_portions_when_together_they_are_large(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opdex.search.segment_cache._MOST_AT_ONCE", 2 * len(_RICH))
    stored.octets = {(number, 1): _RICH for number in range(5)}
    assert counts(stored.cache(), list(stored.octets)) == [3] * 5
    assert stored.read == [[(0, 1), (1, 1)], [(2, 1), (3, 1)], [(4, 1)]]


def test_least_used_go_when_they_take_too_much(stored: Stored) -> None:
    stored.octets = {(number, 1): _RICH for number in range(4)}
    cache = stored.cache(2 * len(_RICH))
    for number in (0, 1, 0, 2, 0, 1):
        load(cache, [(number, 1)])
    assert stored.read == [[(0, 1)], [(1, 1)], [(2, 1)], [(1, 1)]]


def test_first_ones_that_fit_are_loaded_when_all_take_too_much(stored: Stored) -> None:
    stored.octets = {(1, 1): _RICH, (2, 1): _RICH, (3, 1): _POOR, (4, 1): _POOR}
    cache = stored.cache(len(_RICH) + len(_POOR))
    for _ in range(2):
        loaded = load(cache, stored.octets)
        assert (list(loaded.segments), loaded.unready) == (editions([(1, 1), (3, 1)]), frozenset())
    assert stored.read == [[(1, 1), (3, 1)]]


def test_others_make_room_before_a_segment_is_read(stored: Stored) -> None:
    stored.octets = {(1, 1): _RICH, (2, 1): _RICH}
    cache = stored.cache(len(_RICH))
    assert [counts(cache, [origin]) for origin in ((1, 1), (2, 1), (1, 1))] == [[3]] * 3
    assert len(stored.read) == 3


def test_segment_is_made_of_rows_until_one_is_stored(stored: Stored) -> None:
    stored.rows = {(1, 1): _POOR}
    cache = stored.cache()
    before = [counts(cache, [(1, 1)]) for _ in range(2)]
    stored.octets = {(1, 1): _RICH}
    assert [*before, *(counts(cache, [(1, 1)]) for _ in range(2))] == [[1], [1], [3], [3]]
    assert stored.made == [(1, 1)]
    assert len(stored.read) == 1


def test_segment_is_made_once_when_the_revision_has_no_operations(stored: Stored) -> None:
    stored.rows = {(1, 1): build_segment("", [])}
    cache = stored.cache()
    assert [counts(cache, [(1, 1)]) for _ in range(3)] == [[0]] * 3
    assert stored.made == [(1, 1)]


def test_segment_made_of_rows_is_made_again_when_it_had_to_go(stored: Stored) -> None:
    stored.rows = {(1, 1): _POOR, (2, 1): _POOR}
    cache = stored.cache(len(_POOR))
    for origin in ((1, 1), (2, 1), (1, 1)):
        load(cache, [origin])
    assert stored.made == [(1, 1), (2, 1), (1, 1)]


def test_no_further_segment_is_made_when_the_time_for_it_is_up(stored: Stored) -> None:
    stored.rows = {(number, 1): _POOR for number in range(10)}
    stored.seconds = MAKING_SECONDS / 4
    cache = stored.cache()
    loaded = load(cache, stored.rows)
    assert stored.made == [(number, 1) for number in range(4)]
    assert list(loaded.segments) == editions(stored.made)
    assert loaded.unready == {*editions((number, 1) for number in range(4, 10))}
    loaded = load(cache, stored.rows)
    assert stored.made == [(number, 1) for number in range(8)]
    assert len(loaded.unready) == 2


def test_segment_that_takes_too_long_to_make_is_unready_and_keeps_no_others_waiting(stored: Stored) -> None:
    stored.rows = {(1, 1): None, (2, 1): _POOR}
    loaded = load(stored.cache(), stored.rows)
    assert (list(loaded.segments), loaded.unready) == (editions([(2, 1)]), {*editions([(1, 1)])})


def test_none_is_made_when_there_is_no_room_left(stored: Stored) -> None:
    stored.octets = {(1, 1): _RICH}
    stored.rows = {(2, 1): _POOR}
    loaded = load(stored.cache(len(_RICH)), [(1, 1), (2, 1)])
    assert (list(loaded.segments), loaded.unready, stored.made) == (editions([(1, 1)]), frozenset(), [])
