"""What happens when two of the engine's parts meet at the worst moment, or one loses the database for a moment."""

import threading

import pytest

from opdex.database import Connection, Database
from opdex.errors import DatabaseUnavailable, LeaseLost
from opdex.indexing.deadline import Deadline
from opdex.indexing.heartbeat import Heartbeat, LeaseClock
from opdex.jobs import enqueue, leases, retention, watches
from opdex.jobs.models import Enqueued
from opdex.jobs.retention import apply_retention
from opdex.jobs.sweep import sweep
from tests.integration.engine import Engine, things, wait_until


@pytest.fixture
def held(engine: Engine) -> leases.Claim:
    """A job that is claimed for half a minute."""
    engine.job_id("users", things(4))
    held = engine.transact(lambda c: leases.claim(c, engine.embedder.provider, 30.0))
    assert held is not None
    return held


def _spec_id(engine: Engine) -> int:
    (spec,) = engine.sql("SELECT id FROM specs")
    return int(spec["id"])


def _beating(engine: Engine, held: leases.Claim, database: Database) -> Heartbeat:
    clock = LeaseClock(30.0, Deadline(lambda: 60_000))
    return Heartbeat(database, held, clock, every_seconds=0.01)


def _shorten_lease(engine: Engine) -> None:
    engine.sql("UPDATE jobs SET lease_expires_at = now() + interval '1 second'")


def _lease_is_renewed(engine: Engine) -> bool:
    return engine.sql("SELECT id FROM jobs WHERE lease_expires_at > now() + interval '20 seconds'") != []


def test_new_job_is_opened_when_the_open_one_ends_just_before_it_would_be_renewed(
    engine: Engine, other: Database
) -> None:
    job_id = engine.job_id("users", things(2))
    spec_id = _spec_id(engine)
    opened: list[Enqueued] = []

    def retry() -> None:
        with other.transaction() as c:
            opened.append(enqueue.enqueue(c, spec_id, "manual_retry"))

    retrying = threading.Thread(target=retry)
    cancelling = Database(engine.settings)
    with cancelling.transaction() as c:
        enqueue.cancel(c, job_id)
        retrying.start()
        wait_until(engine.somebody_waits)
    cancelling.close()
    retrying.join()

    (again,) = opened
    assert again.created
    assert again.job_id != job_id
    assert [engine.job(job).status for job in (job_id, again.job_id)] == ["cancelled", "pending"]


def test_no_second_job_is_opened_when_an_upload_closes_the_gap_that_the_sweep_waits_for(
    engine: Engine, other: Database
) -> None:
    engine.job_id("users", things(2))
    engine.worker().handle()
    engine.sql("UPDATE specs SET published_revision = NULL, published_model_id = NULL")
    spec_id = _spec_id(engine)

    def repair() -> None:
        sweep(other, engine.wake_ups, engine.embedder.identity, workers=1, max_attempts=5, retention_days=14)

    sweeping = threading.Thread(target=repair)
    uploading = Database(engine.settings)
    with uploading.transaction() as c:
        c.execute("SELECT FROM specs FOR NO KEY UPDATE")
        sweeping.start()
        wait_until(engine.somebody_waits)
        opened = enqueue.enqueue(c, spec_id, "spec_write")
    uploading.close()
    sweeping.join()

    newest = engine.sql("SELECT id, kind FROM jobs ORDER BY id DESC LIMIT 1")
    assert newest == [{"id": opened.job_id, "kind": "spec_write"}]
    assert engine.events(opened.job_id) == ["enqueued"]


def test_claimed_job_is_published_when_its_last_vectors_came_just_before_its_claim(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.job_id("users", things(2))
    engine.worker().handle()
    again = engine.transact(lambda c: enqueue.enqueue(c, _spec_id(engine), "manual_retry"))
    monkeypatch.setattr(leases, "publish_ready", lambda *_: None)  # as it was a moment before

    assert engine.worker().outcomes() == ["published"]

    assert engine.job(again.job_id).status == "succeeded"
    assert len(engine.embedder.texts) == 2


def test_slice_goes_on_when_no_sibling_can_be_looked_for(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine.job_id("users", things(2))

    def away(connection: Connection, provider: str) -> None:
        raise DatabaseUnavailable

    monkeypatch.setattr(leases, "next_ready", away)

    assert engine.worker().outcomes() == ["published"]
    assert "no sibling woken" in caplog.text


def test_slice_goes_on_when_the_message_of_its_claim_cannot_be_noted(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine.job_id("users", things(2))

    def away(*_: object) -> None:
        raise DatabaseUnavailable

    monkeypatch.setattr(watches, "watched", away)

    assert engine.worker().outcomes() == ["published"]
    assert len(engine.wake_ups.of_kind("lease")) == 1
    assert "watch not noted" in caplog.text


def test_heartbeat_renews_on_a_new_connection_when_its_own_was_cut(
    engine: Engine, held: leases.Claim, other: Database
) -> None:
    with _beating(engine, held, other) as heartbeat:
        wait_until(lambda: _lease_is_renewed(engine))
        for _ in range(2):
            engine.sql(
                """SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
                   WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"""
            )
            _shorten_lease(engine)
            wait_until(lambda: _lease_is_renewed(engine))
        heartbeat.require_held()

    wait_until(lambda: len(engine.sql("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")) == 1)


def test_heartbeat_keeps_no_process_alive_and_ends_quietly_when_the_database_stays_away(
    engine: Engine, held: leases.Claim, other: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = threading.Event()

    def refuse() -> Connection:
        refused.set()
        raise DatabaseUnavailable

    _shorten_lease(engine)
    with _beating(engine, held, other):
        wait_until(lambda: _lease_is_renewed(engine))
        monkeypatch.setattr(other, "connect", refuse)
        engine.sql(
            """SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"""
        )
        assert refused.wait(10)
        assert [thread.daemon for thread in threading.enumerate() if thread.name == "heartbeat"] == [True]


def test_heartbeat_ends_and_says_so_when_the_job_was_cancelled(
    engine: Engine, held: leases.Claim, other: Database
) -> None:
    with _beating(engine, held, other) as heartbeat:
        wait_until(lambda: _lease_is_renewed(engine))
        engine.transact(lambda c: enqueue.cancel(c, held.job_id))
        wait_until(lambda: "heartbeat" not in {thread.name for thread in threading.enumerate()})

        with pytest.raises(LeaseLost) as lost:
            heartbeat.require_held()
    assert lost.value.details == {"job_id": held.job_id}


def test_walk_through_vectors_ends_when_a_whole_batch_is_still_needed(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.job_id("users", things(12))
    engine.worker().handle()
    engine.sql("UPDATE vectors SET made_at = made_at - interval '15 days'")
    monkeypatch.setattr(retention, "_VECTORS", 4)
    asked: list[str] = []
    monkeypatch.setattr(retention, "_SQL", _Noting(retention._SQL, asked))

    assert apply_retention(engine.database, days=14, seconds=60).vectors == 0
    assert asked.count("vectors_after") <= 2, "the one from a random key, and the one from the beginning"


def test_vectors_go_wherever_they_are_when_each_batch_has_some_that_are_needed(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.job_id("users", things(12))
    engine.worker().handle()
    engine.sql("UPDATE vectors SET made_at = made_at - interval '15 days'")
    engine.sql("""
        WITH keys AS (SELECT text_hash, row_number() OVER (ORDER BY text_hash) AS place FROM vectors)
        DELETE FROM stored_operations WHERE text_hash IN (SELECT text_hash FROM keys WHERE place IN (1, 5, 9))
    """)
    monkeypatch.setattr(retention, "_VECTORS", 4)
    monkeypatch.setattr("os.urandom", bytes)  # begins with the first key
    asked: list[str] = []
    monkeypatch.setattr(retention, "_SQL", _Noting(retention._SQL, asked))

    assert apply_retention(engine.database, days=14, seconds=60).vectors == 3
    assert asked.count("vectors_after") == 5, "three batches, their end, and one from the beginning"


def test_vectors_go_when_the_walk_began_behind_them(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.job_id("users", things(3))
    engine.worker().handle()
    engine.sql("UPDATE vectors SET made_at = made_at - interval '15 days'")
    engine.sql("DELETE FROM stored_operations")
    monkeypatch.setattr("os.urandom", lambda count: b"\xff" * count)

    assert apply_retention(engine.database, days=14, seconds=60).vectors == 3


def test_new_job_is_opened_when_the_open_one_ends_between_two_statements(
    engine: Engine, other: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = engine.job_id("users", things(2))

    class Ending(dict[str, str]):
        def __getitem__(self, name: str) -> str:
            if name == "renew_open":
                with other.transaction() as c:
                    c.execute("UPDATE jobs SET status = 'cancelled', completed_at = now() WHERE id = %s", [job_id])
            return super().__getitem__(name)

    monkeypatch.setattr(enqueue, "_SQL", Ending(enqueue._SQL))

    again = engine.transact(lambda c: enqueue.enqueue(c, _spec_id(engine), "manual_retry"))

    assert again.created
    assert again.job_id != job_id


def test_heartbeat_tries_again_when_it_cannot_connect(
    engine: Engine, held: leases.Claim, other: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect, refusals = other.connect, iter([True, True])

    def refuse_twice() -> Connection:
        if next(refusals, False):
            raise DatabaseUnavailable
        return connect()

    monkeypatch.setattr(other, "connect", refuse_twice)
    _shorten_lease(engine)

    with _beating(engine, held, other):
        wait_until(lambda: _lease_is_renewed(engine))
    assert next(refusals, None) is None


class _Noting(dict[str, str]):
    """Statements that note which were asked for."""

    def __init__(self, statements: object, asked: list[str]) -> None:
        super().__init__(statements)  # type: ignore[call-overload]
        self._asked = asked

    def __getitem__(self, name: str) -> str:
        self._asked.append(name)
        return super().__getitem__(name)
