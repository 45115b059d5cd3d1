"""Postgres killed, restarted or locked while a worker is in the middle of a slice."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.scratch import scratch_folder
from tests.faults.invariants import CALLS_IN_FLIGHT
from tests.faults.stage import Stage, Timing
from tests.integration.engine import things, wait_until

_TEXTS = 60


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    timing = Timing(longest_delay=1.0, invocation=60)
    with scratch_folder(tmp_path) as folder, Stage(folder, workers=1, timing=timing) as stage:
        yield stage


def _kill(stage: Stage) -> None:
    os.kill(stage.postgres.pid or 0, signal.SIGKILL)
    stage.postgres.stop()


@pytest.mark.parametrize("end", [_kill, lambda stage: stage.postgres.stop()], ids=["killed", "restarted"])
def test_job_succeeds_and_keeps_its_chunks_when_postgres_goes_in_the_middle_of_a_slice(
    stage: Stage, end: Callable[[Stage], None]
) -> None:
    stage.provider.base_seconds = 0.2
    job_id = stage.open_job("spec", things(_TEXTS))
    stage.start_workers()
    stage.wait_for("id = %s AND embedded_so_far > 10", job_id)
    end(stage)
    calls = len(stage.provider.calls)
    wait_until(lambda: not stage.provider.under_way)
    # What waits unwritten is not added to.
    assert len(stage.provider.calls) <= calls + CALLS_IN_FLIGHT
    stage.postgres.start()
    stage.wait_for_end()
    with stage.sql() as c:
        assert c.execute("SELECT FROM jobs WHERE status = 'succeeded' AND attempts <= 2").fetchone() is not None
    assert stage.broken() == []


@pytest.mark.parametrize("seconds", [0.5, 3.0], ids=["for a moment", "past the lease"])
def test_job_succeeds_when_its_rows_are_locked_in_the_middle_of_a_slice(stage: Stage, seconds: float) -> None:
    stage.provider.base_seconds = 0.2
    job_id = stage.open_job("spec", things(_TEXTS))
    stage.start_workers()
    stage.wait_for("id = %s AND embedded_so_far > 10", job_id)
    with stage.sql() as c, c.transaction():
        c.execute("SELECT FROM specs FOR UPDATE")
        c.execute("SELECT FROM jobs FOR UPDATE")
        c.execute("SELECT pg_sleep(%s)", [seconds])
    stage.wait_for_end()
    with stage.sql() as c:
        states = c.execute("SELECT status, attempts FROM jobs").fetchall()
    assert [row["status"] for row in states] == ["succeeded"]
    assert states[0]["attempts"] <= (1 if seconds < stage.timing.lease else 2)
    assert stage.broken() == []
