"""How a slice writes through a database that is away for a moment, and sorts out vectors of several lengths."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from opdex.errors import DatabaseFailed, DatabaseUnavailable, LeaseLost, OpdexError
from opdex.indexing import slice as slices
from opdex.indexing.slice import Slice
from opdex.jobs.leases import MissingText

_CONNECTION = object()


@dataclass
class Clock:
    """A clock, a deadline and a lease in one; sleeping puts it forward."""

    ends_at: float = 1000.0
    lease_ends_at: float = 1000.0
    now: float = 0.0
    slept: list[float] = field(default_factory=list)
    jitters: list[tuple[float, float]] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def uniform(self, least: float, most: float) -> float:
        self.jitters.append((least, most))
        return (least + most) / 2

    def seconds_left(self) -> float:
        return self.ends_at - self.now

    def is_nearly_whole(self) -> bool:
        return True

    def require_held(self) -> None:
        if self.now >= self.lease_ends_at:
            raise LeaseLost


class Failing:
    """A database whose transactions fail with these, one after the other, and then succeed."""

    def __init__(self, errors: list[OpdexError]) -> None:
        self._errors = errors

    @contextmanager
    def transaction(self) -> Iterator[object]:
        if self._errors:
            raise self._errors.pop(0)
        yield _CONNECTION


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(slices, "time", clock)
    monkeypatch.setattr(slices, "random", clock)
    return clock


def _persist(clock: Clock, errors: list[OpdexError]) -> object:
    """Write once through these errors; returns the connection that was written on."""
    unused = cast(Any, None)
    work = Slice(
        cast(Any, Failing(errors)), unused, unused, unused, unused, unused, unused, cast(Any, clock),
        cast(Any, clock), lambda: None,
    )  # fmt: skip
    return work._persist(lambda connection: cast(object, connection))


def test_pauses_double_up_to_two_seconds_when_the_database_is_away(clock: Clock) -> None:
    assert _persist(clock, [DatabaseUnavailable()] * 8) is _CONNECTION

    assert clock.slept == pytest.approx([0.75 * pause for pause in (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0)])
    assert set(clock.jitters) == {(0.5, 1)}, "half of each pause at least, so that many workers do not come together"


def test_third_refusal_counts_when_the_database_was_away_between_them(clock: Clock) -> None:
    errors: list[OpdexError] = [
        DatabaseFailed(), DatabaseUnavailable(), DatabaseFailed(), DatabaseUnavailable(), DatabaseFailed(),
    ]  # fmt: skip

    with pytest.raises(DatabaseFailed):
        _persist(clock, errors)
    assert errors == []


def test_two_refusals_are_written_through(clock: Clock) -> None:
    assert _persist(clock, [DatabaseFailed(), DatabaseFailed()]) is _CONNECTION


@pytest.mark.parametrize(("seconds_left", "tries"), [(0.05, 2), (0.04, 1)])
def test_write_is_given_up_when_no_further_pause_fits_before_the_deadline(
    clock: Clock, seconds_left: float, tries: int
) -> None:
    clock.ends_at = seconds_left
    errors: list[OpdexError] = [DatabaseUnavailable()] * 9

    with pytest.raises(DatabaseUnavailable):
        _persist(clock, errors)
    assert len(errors) == 9 - tries


def test_write_is_given_up_when_the_lease_ran_out_meanwhile(clock: Clock) -> None:
    clock.lease_ends_at = 0.2

    with pytest.raises(LeaseLost):
        _persist(clock, [DatabaseUnavailable()] * 9)
    assert len(clock.slept) == 3


def test_most_vectors_of_one_length_come_first_when_there_are_several_lengths() -> None:
    missing = [MissingText(bytes(32), f"text {number}", 1, f"GET /{number}") for number in range(6)]
    vectors = [[1.0] * length for length in (3, 2, 4, 2, 4, 4)]

    parts = slices._by_length(list(zip(missing, vectors, strict=True)))

    assert [[text.text for text, _ in part] for part in parts] == [
        ["text 2", "text 4", "text 5"], ["text 1", "text 3"], ["text 0"],
    ]  # fmt: skip
    assert [{len(vector) for _, vector in part} for part in parts] == [{4}, {2}, {3}]
