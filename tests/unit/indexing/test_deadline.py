import time

import pytest

from opdex.indexing.deadline import Deadline


@pytest.mark.parametrize(("timeout", "margin"), [(300, 5.0), (20, 2.0), (2, 0.3), (1, 0.3)])
def test_work_ends_before_the_kill_when_the_invocation_is_this_long(timeout: int, margin: float) -> None:
    deadline = Deadline(lambda: timeout * 1000)

    assert deadline.seconds_left() == pytest.approx(timeout - margin, abs=0.1)
    assert deadline.seconds_to_kill() == pytest.approx(timeout, abs=0.1)


def test_deadline_is_whole_only_when_hardly_any_time_has_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    deadline = Deadline(lambda: 10_000)
    assert deadline.is_nearly_whole()
    assert deadline.leaves_room()

    now[0] = 103.0
    assert not deadline.is_nearly_whole()
    assert deadline.leaves_room()

    now[0] = 108.0
    assert not deadline.leaves_room()


@pytest.mark.parametrize(("gone", "is_whole", "has_room"), [(8, True, True), (9, False, True), (33.75, False, False)])
def test_deadline_is_not_whole_and_leaves_no_room_from_its_very_bounds_on(
    monkeypatch: pytest.MonkeyPatch, gone: float, is_whole: bool, has_room: bool
) -> None:
    now = [128.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    deadline = Deadline(lambda: 50_000)  # 45 s of work: 36 and 11.25 s before their end

    now[0] += gone

    assert (deadline.is_nearly_whole(), deadline.leaves_room()) == (is_whole, has_room)


@pytest.mark.parametrize(("timeout", "patience"), [(300, 297.5), (20, 19.0), (1, 0.85)])
def test_database_is_waited_for_past_the_end_of_work_and_not_until_the_kill(
    monkeypatch: pytest.MonkeyPatch, timeout: int, patience: float
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    deadline = Deadline(lambda: timeout * 1000)

    assert deadline.seconds_of_patience() == pytest.approx(patience)
    now[0] += timeout
    assert deadline.seconds_of_patience() == pytest.approx(patience - timeout)
