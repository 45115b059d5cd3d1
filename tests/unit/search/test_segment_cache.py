from collections.abc import Iterable
from typing import cast

import pytest

from opdex.catalog.segments import Origin
from opdex.database import Connection
from opdex.ranking.segment_builder import build_segment
from opdex.search.segment_cache import SegmentCache
from tests.unit.ranking.documents import operation

_CONNECTION = cast(Connection, None)
_POOR, _RICH = build_segment("", [operation("GET /pets")]), build_segment("Pets", [operation("GET /pets")] * 3)


class Stored:
    """The stored segments, and what was asked of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.octets: dict[Origin, bytes] = {}
        self.rows: dict[Origin, bytes] = {}
        self.read: list[list[Origin]] = []
        self.made: list[Origin] = []
        monkeypatch.setattr("opdex.search.segment_cache.read_segments", self._read)
        monkeypatch.setattr("opdex.search.segment_cache.make_segment", self._make)

    def _read(self, connection: Connection, origins: Iterable[Origin]) -> dict[Origin, bytes]:
        wanted = list(origins)
        self.read.append(wanted)
        return {origin: self.octets[origin] for origin in wanted if origin in self.octets}

    def _make(self, connection: Connection, origin: Origin) -> bytes:
        self.made.append(origin)
        return self.rows[origin]


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> Stored:
    return Stored(monkeypatch)


def test_segments_are_read_once_and_in_one_statement(stored: Stored) -> None:
    stored.octets = {(1, 1): _POOR, (2, 1): _RICH}
    cache = SegmentCache(1_000_000)
    assert [segment.count for segment in cache.segments(_CONNECTION, [(2, 1), (1, 1), (2, 1)])] == [3, 1, 3]
    assert [segment.count for segment in cache.segments(_CONNECTION, [(1, 1)])] == [1]
    assert cache.segments(_CONNECTION, []) == []
    assert stored.read == [[(2, 1), (1, 1)]]


def test_least_used_go_when_they_take_too_much(stored: Stored) -> None:
    stored.octets = {(number, 1): _RICH for number in range(4)}
    cache = SegmentCache(2 * len(_RICH))
    for number in (0, 1, 0, 2, 0, 1):
        cache.segments(_CONNECTION, [(number, 1)])
    assert stored.read == [[(0, 1)], [(1, 1)], [(2, 1)], [(1, 1)]]


def test_what_one_search_needs_stays_whatever_its_size(stored: Stored) -> None:
    stored.octets = {(number, 1): _RICH for number in range(4)}
    cache = SegmentCache(0)
    for _ in range(2):
        assert len(cache.segments(_CONNECTION, list(stored.octets))) == 4
    assert len(stored.read) == 1
    cache.segments(_CONNECTION, [(0, 1)])
    cache.segments(_CONNECTION, [(1, 1)])
    assert stored.read[1:] == [[(1, 1)]]


def test_segment_is_made_of_rows_until_one_is_stored(stored: Stored) -> None:
    stored.rows = {(1, 1): _POOR}
    cache = SegmentCache(1_000_000)
    counts = [cache.segments(_CONNECTION, [(1, 1)])[0].count for _ in range(2)]
    stored.octets = {(1, 1): _RICH}
    counts += [cache.segments(_CONNECTION, [(1, 1)])[0].count for _ in range(2)]
    assert counts == [1, 1, 3, 3]
    assert stored.made == [(1, 1)]
    assert len(stored.read) == 3


def test_segment_is_made_once_when_the_revision_has_no_operations(stored: Stored) -> None:
    stored.rows = {(1, 1): build_segment("", [])}
    cache = SegmentCache(1_000_000)
    for _ in range(3):
        assert cache.segments(_CONNECTION, [(1, 1)])[0].count == 0
    assert (len(stored.made), len(stored.read)) == (1, 1)


def test_segment_made_of_rows_is_made_again_when_it_had_to_go(stored: Stored) -> None:
    stored.rows = {(1, 1): _POOR, (2, 1): _POOR}
    cache = SegmentCache(0)
    for origin in ((1, 1), (2, 1), (1, 1)):
        cache.segments(_CONNECTION, [origin])
    assert stored.made == [(1, 1), (2, 1), (1, 1)]
