"""Connections to Postgres that are lost without a word, in the middle of a query and during a call to the provider."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import DictRow

from local.scratch import scratch_folder
from tests.faults.network import Network
from tests.faults.stage import Stage, Timing
from tests.integration.engine import things, wait_until

# A silent connection is given up after 15 s, by keepalives or for want of an acknowledgement. One that still
# acknowledges is given up with its statement: after 20 s, here after 5. The heartbeat's comes first, then the worker's
# own, and then an attempt to open another, of 5 s.
_STATEMENT_SECONDS = 5.0
_MOST_SECONDS_UNTIL_FREE = {"silent": 15 + 15 + 5 + 5.0, "acknowledged": 2 * _STATEMENT_SECONDS + 5 + 5}
_OUTAGES = {"silent": Network.fall_silent, "acknowledged": Network.hang}
_DONE = "SELECT id FROM jobs WHERE status = 'succeeded'"
_WAITS_FOR_LOCK = "SELECT FROM pg_stat_activity WHERE application_name = %s AND wait_event_type = 'Lock'"
_WRITES_OF = "SELECT count(*) AS count FROM fault_journal WHERE who = %s"


@dataclass(frozen=True, slots=True)
class Remote:
    """A worker that reaches Postgres over a network of its own."""

    name: str
    network: Network
    outage: str

    def cut_off(self) -> float:
        """Lose its connections, and return when."""
        _OUTAGES[self.outage](self.network)
        return time.monotonic()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    timing = Timing(invocation=300, call_timeout=60)
    with scratch_folder(tmp_path) as folder, Stage(folder, timing=timing) as stage:
        yield stage


def _start_remote(stage: Stage, stack: ExitStack, outage: str) -> Remote:
    """Start a worker over a network of its own, and return it in its first call to the provider."""
    network = stack.enter_context(Network(stage.postgres.url()))
    statement_seconds = 20.0 if outage == "silent" else _STATEMENT_SECONDS
    assignment = stage.assignment(database_url=network.url, statement_seconds=statement_seconds)
    calls = stage.provider.under_way
    stage.open_job(f"spec-of-{assignment.name}", things(12, assignment.name))
    stage.start_worker(assignment)
    wait_until(lambda: stage.provider.under_way > calls)
    return Remote(assignment.name, network, outage)


def _finish_all(stage: Stage, c: psycopg.Connection[DictRow], jobs: int) -> None:
    with stage.worker_here() as successor:
        successor.serve(stage.queue, lambda: len(c.execute(_DONE).fetchall()) == jobs, 60)


def test_job_goes_on_elsewhere_and_its_worker_comes_free_when_its_connections_are_lost(stage: Stage) -> None:
    stage.provider.base_seconds = 3.0
    with ExitStack() as stack, stage.sql() as c:
        during_calls = [_start_remote(stage, stack, outage) for outage in _OUTAGES]
        in_queries = [_start_remote(stage, stack, outage) for outage in _OUTAGES]
        lost_at = {remote: remote.cut_off() for remote in during_calls}
        # What the others write waits for a lock until their connections are lost: the answer has nowhere to go.
        with stage.sql() as other, other.transaction():
            other.execute("LOCK TABLE jobs, vectors IN ACCESS EXCLUSIVE MODE")
            for remote in in_queries:
                wait_until(lambda: c.execute(_WAITS_FOR_LOCK, [remote.name]).fetchone() is not None)  # noqa: B023
                lost_at[remote] = remote.cut_off()
        stage.provider.base_seconds = 0.0
        _finish_all(stage, c, jobs=4)
        for remote, at in lost_at.items():
            left = at + _MOST_SECONDS_UNTIL_FREE[remote.outage] - time.monotonic()
            wait_until(lambda: stage.queue.settled_by[remote.name] > 0, left)  # noqa: B023
        stage.end_workers()
        assert stage.broken() == []


@pytest.mark.parametrize("outage", _OUTAGES)
def test_late_writes_change_nothing_when_a_lost_connection_delivers_them_after_all(stage: Stage, outage: str) -> None:
    stage.provider.base_seconds = 1.0
    with ExitStack() as stack, stage.sql() as c:
        remote = _start_remote(stage, stack, outage)
        remote.cut_off()
        stage.provider.base_seconds = 0.0
        _finish_all(stage, c, jobs=1)
        before = c.execute(_WRITES_OF, [remote.name]).fetchone()
        remote.network.recover()
        wait_until(lambda: stage.queue.settled_by[remote.name] > 0, _MOST_SECONDS_UNTIL_FREE[outage])
        assert c.execute(_WRITES_OF, [remote.name]).fetchone() == before
        stage.end_workers()
        assert stage.broken() == []
