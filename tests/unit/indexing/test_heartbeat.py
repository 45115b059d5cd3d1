import time

import pytest

from opdex.errors import LeaseLost
from opdex.indexing.deadline import Deadline
from opdex.indexing.heartbeat import LeaseClock


def test_lease_is_lost_when_no_renewal_was_confirmed_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    clock = LeaseClock(30.0, Deadline(lambda: 300_000))

    now[0] = 129.0
    clock.require_held()
    clock.renewed(asked_at=125.0, lease_seconds=30.0)
    now[0] = 154.0
    clock.require_held()
    now[0] = 155.0
    with pytest.raises(LeaseLost, match=r"^The lease ran out before a renewal was confirmed\.$"):
        clock.require_held()


def test_lease_is_cut_when_the_invocation_ends_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    clock = LeaseClock(30.0, Deadline(lambda: 40_000))

    assert clock.lease_seconds() == 30.0
    now[0] = 125.0
    assert clock.lease_seconds() == pytest.approx(15.0)
    now[0] = 150.0
    assert clock.lease_seconds() == 0.1, "the database takes no lease that has ended"
