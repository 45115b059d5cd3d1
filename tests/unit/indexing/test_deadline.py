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
