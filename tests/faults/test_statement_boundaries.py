"""A worker, and a sweep, to which something happens at each of its statements in turn, BEGIN and COMMIT included."""

import os
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from multiprocessing.process import BaseProcess
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import DictRow

from local.scratch import scratch_folder
from opdex.catalog.store import delete_spec
from opdex.errors import ProviderFailed
from opdex.jobs import leases
from opdex.jobs.wakeups import WakeUp
from tests.faults.invariants import CALLS_IN_FLIGHT
from tests.faults.stage import Stage, Timing, WorkerHere
from tests.faults.worker import Fate, FaultyDatabase, sweep_here, sweep_once
from tests.integration.engine import RememberedWakeUps, wait_until

_LEAST_STATEMENTS = 10
_TEXTS = 12
_DONE = "SELECT id FROM jobs WHERE id = %s AND status = 'succeeded'"
_LAPSE = "UPDATE jobs SET lease_expires_at = now() - interval '1 s' WHERE status = 'running'"
_AGE = "UPDATE jobs SET created_at = created_at - interval '60 days', completed_at = completed_at - interval '60 days'"
_CONNECTIONS = "SELECT FROM pg_stat_activity WHERE application_name = %s"
_ALL_WRITES = """
    SELECT (SELECT max(seq) FROM fault_journal) AS jobs, (SELECT max(seq) FROM fault_publications) AS publications,
           (SELECT max(seq) FROM fault_vectors) AS vectors, (SELECT max(id) FROM job_events) AS events
"""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with scratch_folder(tmp_path) as folder, Stage(folder, timing=Timing(lease=1.0, longest_delay=0.2)) as stage:
        stage.provider.base_seconds = stage.provider.seconds_per_text = 0.0
        yield stage


@pytest.mark.parametrize("fate", ["dies", "dies_after"])
def test_nothing_is_lost_and_little_repeated_when_a_worker_dies_at_any_statement(stage: Stage, fate: Fate) -> None:
    with stage.sql() as c, stage.worker_here() as survivor:
        for statement, job_id, process in _struck(stage, fate):
            wait_until(lambda: not process.is_alive() or _is_done(c, job_id))  # noqa: B023
            process.kill()
            process.join()
            c.execute(_LAPSE)
            # Without a sweep: a message looks after each open job.
            survivor.serve(stage.queue, lambda: _is_done(c, job_id))  # noqa: B023
            _assert_little_was_repeated(stage, statement)
        _assert_sound(stage, c, most_attempts=2)


def test_late_writes_change_nothing_when_a_worker_froze_at_any_statement(stage: Stage) -> None:
    with stage.sql() as c, stage.worker_here() as successor:
        # A frozen worker's locks go when its transaction has idled for 20 s; here sooner.
        c.execute("ALTER ROLE CURRENT_USER IN DATABASE opdex SET idle_in_transaction_session_timeout = '1s'")
        for statement, job_id, process in _struck(stage, "freezes"):
            name = stage.workers[-1][0].name
            wait_until(lambda: _is_frozen(process) or _is_done(c, job_id))  # noqa: B023
            if _is_done(c, job_id):
                break  # it was about to look for another job
            wait_until(lambda: _takes_over(c, successor))
            before, settled = c.execute(_ALL_WRITES).fetchone(), stage.queue.settled_by[name]
            os.kill(process.pid or 0, signal.SIGCONT)
            wait_until(lambda: stage.queue.settled_by[name] > settled)  # noqa: B023
            assert c.execute(_ALL_WRITES).fetchone() == before, f"frozen at statement {statement}, it wrote late"
            process.kill()
            process.join()
            _take_back(c, successor)
            successor.handle(WakeUp(job_id=job_id))
            assert _is_done(c, job_id), f"the job frozen at statement {statement} was not taken over"
        _assert_sound(stage, c, most_attempts=3)


@pytest.mark.parametrize(
    "fates",
    [("loses_answer",), ("loses_connection", "meets_serialization_failure", "meets_full_disk")],
    ids=["loses_answer", "others_in_turn"],
)
def test_job_succeeds_when_the_database_fails_a_worker_at_any_statement(stage: Stage, fates: Sequence[Fate]) -> None:
    with stage.sql() as c:
        for _, job_id, process in _struck(stage, *fates):
            stage.wait_for("id = %s AND status = 'succeeded'", job_id)
            process.kill()
            process.join()
        # Where the answer to a claim is lost, nobody knows that he holds the job: its lease has to run out.
        _assert_sound(stage, c, most_attempts=2 if "loses_answer" in fates else 1)


def _struck(stage: Stage, *fates: Fate) -> Iterator[tuple[int, int, BaseProcess]]:
    """Yield for each statement of a slice its number, a job, and a worker whom one of the fates meets there."""
    for round_number in range(2):  # the first one settles the model
        with stage.worker_here() as healthy:
            texts = [f"healthy {number} of {round_number}" for number in range(_TEXTS)]
            healthy.handle(WakeUp(job_id=stage.open_job("healthy", texts)))
            statements = healthy.database.statements
    assert statements > _LEAST_STATEMENTS
    for statement in range(1, statements + 1):
        stage.queue.clear()
        texts = [f"thing {number} of {statement}" for number in range(_TEXTS)]
        job_id = stage.open_job(f"spec-{statement}", texts)
        fate = fates[statement % len(fates)]
        yield statement, job_id, stage.start_worker(stage.assignment(struck_at_statement=statement, fate=fate))


def _is_done(c: psycopg.Connection[DictRow], job_id: int) -> bool:
    return c.execute(_DONE, [job_id]).fetchone() is not None


def _take_back(c: psycopg.Connection[DictRow], worker: WorkerHere) -> None:
    """Let all leases lapse, and the worker notice."""
    c.execute(_LAPSE)
    with worker.database.transaction() as connection:
        leases.expire_leases(connection, max_attempts=5)


def _takes_over(c: psycopg.Connection[DictRow], worker: WorkerHere) -> bool:
    _take_back(c, worker)
    with worker.database.transaction() as connection:
        return leases.claim(connection, "ollama", 30) is not None


def _is_frozen(process: BaseProcess) -> bool:
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def _assert_sound(stage: Stage, c: psycopg.Connection[DictRow], most_attempts: int) -> None:
    stage.wait_for_end()
    assert stage.broken() == []
    assert c.execute("SELECT id, attempts FROM jobs WHERE attempts > %s", [most_attempts]).fetchall() == []


def _assert_little_was_repeated(stage: Stage, statement: int) -> None:
    """What one death repeats: the calls under way, and one chunk that was not written yet."""
    ours = tuple(f"thing {number} of {statement}." for number in range(_TEXTS))
    calls = [call for call in stage.provider.calls if call.texts[0].startswith(ours)]
    times_sent = Counter(text for call in calls for text in call.texts)
    again = sum(times - 1 for times in times_sent.values())
    largest = sorted((len(call.texts) for call in calls), reverse=True)
    assert again <= sum(largest[: CALLS_IN_FLIGHT + 1]), f"the death at statement {statement} repeated {again} texts"
    assert len(times_sent) == _TEXTS


# The sweep.


def test_everything_is_repaired_once_when_a_sweep_dies_at_any_statement(stage: Stage) -> None:
    with stage.sql() as c, stage.worker_here() as worker:
        _break_everything(stage, c, 0)
        statements = sweep_here(stage.assignment("sweep"), stage.queue, workers=2).statements
        assert statements > _LEAST_STATEMENTS
        _work_off(worker)
        for statement in range(1, statements + 1):
            lapsed, parked, unpublished, old = _break_everything(stage, c, statement)
            assignment = stage.assignment("sweep", struck_at_statement=statement)
            process = stage.start(sweep_once, assignment, 2)
            process.join()
            assert process.exitcode == -signal.SIGKILL
            # Postgres notices that it is gone; until then what it locked is left alone.
            wait_until(lambda: c.execute(_CONNECTIONS, [assignment.name]).fetchone() is None)  # noqa: B023
            heard = RememberedWakeUps()
            sweep_here(stage.assignment("sweep"), heard, workers=2)
            assert len(heard.sent) <= 2
            jobs = {
                row["id"]: row for row in c.execute("SELECT * FROM jobs WHERE spec_name LIKE %s", [f"%-{statement}"])
            }
            assert (jobs[lapsed]["status"], jobs[lapsed]["attempts"]) == ("pending", 2)
            assert jobs[parked]["next_try_at"] is None
            assert old not in jobs
            opened = [row["spec_name"] for row in jobs.values() if row["kind"] == "reconciler"]
            assert sorted(opened) == sorted([f"parked-{statement}", unpublished])
            _work_off(worker)
        assert stage.broken() == []


def test_everything_is_repaired_once_when_two_sweeps_run_at_once(stage: Stage) -> None:
    with stage.sql() as c:
        broken = [_break_everything(stage, c, number) for number in range(1, 9)]
        # Both are under way before either can go on.
        with c.transaction():
            c.execute("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE")
            sweeps = [stage.start(sweep_once, stage.assignment("sweep"), 2) for _ in range(2)]
            waiting = "SELECT FROM pg_stat_activity WHERE application_name LIKE 'sweep%' AND wait_event_type = 'Lock'"
            with stage.sql() as other:
                wait_until(lambda: len(other.execute(waiting.encode()).fetchall()) == 2)
        for sweep in sweeps:
            sweep.join()
        states = {row["id"]: (row["status"], row["attempts"]) for row in c.execute("SELECT * FROM jobs")}
        assert [states[lapsed] for lapsed, _, _, _ in broken] == [("pending", 2)] * 8
        assert not {old for _, _, _, old in broken} & set(states)
        opened = c.execute("SELECT spec_name FROM jobs WHERE kind = 'reconciler'").fetchall()
        assert len(opened) == 16
    with stage.worker_here() as worker:
        _work_off(worker)
    assert stage.broken() == []


def _work_off(worker: WorkerHere) -> None:
    while worker.handle(WakeUp(job_id=0)):
        pass


def _break_everything(stage: Stage, c: psycopg.Connection[DictRow], number: int) -> tuple[int, int, str, int]:
    """Leave a lapsed lease, a parked spec that is due, a gap and a job that is old; the gap's spec is named."""
    old = stage.open_job(f"old-{number}", [f"old {number}"])
    with stage.clients.transaction() as connection:
        delete_spec(connection, "catalog", f"old-{number}")
    c.execute(_AGE)
    with closing(FaultyDatabase(stage.assignment())) as database:
        parked = stage.open_job(f"parked-{number}", [f"parked {number}"])
        with database.transaction() as connection:
            held = leases.claim(connection, "ollama", 30)
            assert held is not None
            leases.fail(connection, held, ProviderFailed(), parked=True)
        lapsed = stage.open_job(f"lapsed-{number}", [f"lapsed {number}"])
        with database.transaction() as connection:
            assert leases.claim(connection, "ollama", 30) is not None
    gap = f"gap-{number}"
    c.execute("DELETE FROM jobs WHERE id = %s", [stage.open_job(gap, [f"gap {number}"])])
    c.execute("UPDATE jobs SET next_try_at = now() - interval '1 s' WHERE id = %s", [parked])
    c.execute(_LAPSE)
    return lapsed, parked, gap, old
