"""How one pass divides its time."""

from contextlib import nullcontext
from typing import cast

import pytest

from opdex.database import Database
from opdex.embedding import ModelIdentity
from opdex.jobs import sweep as sweeping
from opdex.jobs.retention import Forgotten
from tests.integration.engine import RememberedWakeUps


class Clock:
    """Stands still until it is put forward."""

    def __init__(self, now: float) -> None:
        self.now = now

    def monotonic(self) -> float:
        return self.now


class NoDatabase:
    """One whose statements are all replaced."""

    def statement(self) -> nullcontext[None]:
        return nullcontext()


def test_retention_gets_the_time_that_repairs_left_when_they_took_long(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, given = Clock(100.0), []

    def repair(*_: object) -> int:
        clock.now += 4.0
        return 0

    def retain(database: Database, *, days: int, seconds: float) -> Forgotten:
        given.append((days, seconds))
        return Forgotten(jobs=1, revisions=2, operations=3, vectors=4)

    monkeypatch.setattr(sweeping, "time", clock)
    for name in ("expire_leases", "_unpark", "_close_gaps", "_wake", "measure_backlog"):
        monkeypatch.setattr(sweeping, name, repair)
    monkeypatch.setattr(sweeping, "apply_retention", retain)

    swept = sweeping.sweep(
        cast(Database, NoDatabase()),
        RememberedWakeUps(),
        ModelIdentity("stub", "stub"),
        workers=1,
        max_attempts=5,
        retention_days=14,
        seconds=30.0,
    )

    assert given == [(14, 10.0)]
    assert (swept.forgotten_jobs, swept.forgotten_revisions) == (1, 2)
    assert (swept.forgotten_operations, swept.forgotten_vectors) == (3, 4)
