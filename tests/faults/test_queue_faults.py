"""What the queue can do: lose everything, deliver tenfold, refuse, throttle, and bring what nobody can read."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from local.scratch import scratch_folder
from tests.faults.queue import CALM, Mood
from tests.faults.stage import Stage, Timing
from tests.faults.worker import sweep_once
from tests.integration.engine import things, wait_until

_MALFORMED = ("no JSON", "[]", '{"job_id": "x"}', '{"version": 2, "job_id": 1}')
_STATES = "SELECT status, attempts, count(*)::int AS jobs FROM jobs GROUP BY 1, 2"


@contextmanager
def _stage(folder: Path, **options: Any) -> Iterator[Stage]:
    with scratch_folder(folder) as scratch, Stage(scratch, **options) as stage:
        yield stage


def _sweep(stage: Stage, workers: int) -> int:
    """Make one pass of the sweep, and return how many wake-ups it sent."""
    assignment = stage.assignment("sweep")
    stage.start(sweep_once, assignment, workers).join()
    return stage.queue.sent_by[assignment.name]


def test_every_job_finishes_when_only_the_sweep_is_heard(tmp_path: Path) -> None:
    dice = random.Random(3)
    # Invocations that are over after a few jobs, so that it takes many passes.
    with _stage(tmp_path, workers=2, timing=Timing(lease=1.0, invocation=1.0)) as stage:
        stage.queue.mood = Mood(dropped=1.0, spares="sweep")
        stage.start_workers()
        for number in range(30):
            stage.open_job(f"spec-{number}", things(12, f"thing {number}"))
        sent = []
        with stage.sql() as c:
            while c.execute("SELECT FROM jobs WHERE status IN ('pending', 'running') LIMIT 1").fetchone() is not None:
                sent.append(_sweep(stage, workers=2))
                if len(sent) % 4 == 0:
                    stage.kill(*dice.choice(stage.workers))
                    stage.start_workers()
                assert len(sent) < 200, c.execute(_STATES).fetchall()
            assert {row["status"] for row in c.execute(_STATES)} == {"succeeded"}
        assert max(sent) == 2
        assert len([count for count in sent if count]) > 3
        assert stage.queue.lost > 30
        assert stage.broken() == []


def test_work_is_done_once_when_each_message_comes_ten_times(tmp_path: Path) -> None:
    with _stage(tmp_path, workers=3) as stage:
        stage.queue.mood = Mood(doubled=1.0, copies=10)
        stage.provider.seconds_per_text = 0.002
        stage.start_workers()
        for number in range(20):
            stage.open_job(f"spec-{number}", things(40, f"thing {number}"))
        stage.wait_for_end()
        with stage.sql() as c:
            assert c.execute(_STATES).fetchall() == [{"status": "succeeded", "attempts": 1, "jobs": 20}]
        assert len(stage.provider.texts) == len(set(stage.provider.texts)) == 20 * 40
        wait_until(lambda: not stage.queue.waiting, 30)
        assert stage.broken() == []


def test_every_job_finishes_when_the_queue_refused_every_message(tmp_path: Path) -> None:
    with _stage(tmp_path, workers=1, timing=Timing(invocation=1.0)) as stage:
        stage.queue.mood = Mood(refuses=True)
        stage.start_workers()
        for number in range(10):
            stage.open_job(f"spec-{number}", things(12, f"thing {number}"))
        assert _sweep(stage, workers=1) == 0
        stage.queue.mood = CALM
        assert _sweep(stage, workers=1) == 1
        stage.wait_for_end()
        with stage.sql() as c:
            assert c.execute(_STATES).fetchall() == [{"status": "succeeded", "attempts": 1, "jobs": 10}]
        assert stage.broken() == []


@pytest.mark.parametrize(("in_vain", "most_receives"), [(1, 100), (9, 2)], ids=["as deployed", "until wake-ups die"])
def test_no_job_is_harmed_when_a_hundred_at_once_meet_one_worker(
    tmp_path: Path, in_vain: int, most_receives: int
) -> None:
    queue = {"in_vain": in_vain, "visibility_seconds": 0.5, "most_receives": most_receives}
    with _stage(tmp_path, workers=1, timing=Timing(invocation=1.0), **queue) as stage:
        stage.provider.base_seconds = stage.provider.seconds_per_text = 0.0
        for number in range(100):
            stage.open_job(f"spec-{number}", things(2, f"thing {number}"))
            if number % 25 == 0:
                stage.queue.put(_MALFORMED[number // 25])
        stage.start_workers()
        stage.wait_for_end()
        with stage.sql() as c:
            assert c.execute(_STATES).fetchall() == [{"status": "succeeded", "attempts": 1, "jobs": 100}]
        wait_until(lambda: set(_MALFORMED) <= set(stage.queue.dead), 30)
        # What is dead was refused by the handler, and says why; or was never needed.
        assert dict(stage.queue.refused).items() <= dict.fromkeys(_MALFORMED, "malformed_wake_up").items()
        if most_receives == 100:
            assert set(stage.queue.dead) == set(dict(stage.queue.refused)) == set(_MALFORMED)
        else:
            assert len(stage.queue.dead) > 10
        assert stage.broken() == []
