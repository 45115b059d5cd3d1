"""What happens when a worker, a provider, the queue or the clock does not do its part."""

import threading
from collections.abc import Sequence
from contextlib import closing
from typing import Literal

import pytest

from opdex.database import Database
from opdex.embedding import Vector
from opdex.errors import (
    DatabaseUnavailable,
    OpdexError,
    ProviderFailed,
    ProviderMisbehaved,
    ProviderRefused,
    ProviderThrottled,
    ProviderTimeout,
    ProviderUnavailable,
    TextRejected,
)
from opdex.jobs import enqueue, leases, watches
from opdex.jobs.sweep import Swept, sweep
from opdex.jobs.wakeups import WakeUp
from tests.faults.network import Network
from tests.integration.engine import Engine, ScriptedEmbedder, things, wait_until

_LONGER_THAN_ANY_TEST = 600.0


def _raise_on_call(engine: Engine, number: int, error: OpdexError) -> None:
    def script(texts: Sequence[str]) -> None:
        if len(engine.embedder.calls) == number - 1:
            raise error

    engine.embedder.script = script


def _always_raise(engine: Engine, error: OpdexError) -> None:
    def script(texts: Sequence[str]) -> None:
        raise error

    engine.embedder.script = script


def _claim_and_watch(engine: Engine) -> leases.Claim:
    """Claim as a worker does that has sent its claim's wake-up."""
    held = engine.transact(lambda c: leases.claim(c, engine.embedder.provider, 30.0))
    assert held is not None
    engine.transact(lambda c: watches.watched(c, held.job_id, str(held.lease_token), 0))
    return held


def _vanish(engine: Engine, lease: str = "-1 second") -> leases.Claim:
    """Claim a job as a worker that is never heard of again; its lease has run out since."""
    held = _claim_and_watch(engine)
    engine.sql("UPDATE jobs SET lease_expires_at = now() + %s::interval WHERE id = %s", lease, held.job_id)
    return held


def test_job_goes_on_when_the_lease_of_a_vanished_worker_ran_out(engine: Engine) -> None:
    job_id = engine.job_id("users", things(4))
    _vanish(engine)

    assert engine.worker().outcomes() == ["published"]

    job = engine.job(job_id)
    assert (job.status, job.attempts, job.slices) == ("succeeded", 2, 2)
    assert "lease_lost" in engine.events(job_id)


def test_job_fails_when_five_workers_vanish(engine: Engine) -> None:
    job_id = engine.job_id("users", things(4))
    for _ in range(5):
        _vanish(engine)
        engine.transact(lambda c: leases.expire_leases(c, 5))

    job = engine.job(job_id)
    assert (job.status, job.attempts, job.error_code) == ("failed", 5, "worker_lost")
    assert job.next_try_at is not None


def test_wake_up_for_a_lease_is_sent_again_when_the_lease_is_alive(engine: Engine) -> None:
    engine.job_id("users", things(4))
    held = _vanish(engine, lease="20 seconds")
    wake_up = WakeUp(kind="lease", job_id=held.job_id, lease_token=str(held.lease_token))

    assert engine.worker().outcomes(wake_up=wake_up) == []

    ((again, delay),) = engine.wake_ups.sent
    assert again == wake_up.model_copy(update={"round": 1})
    assert 20 < delay <= 21


@pytest.mark.parametrize("kind", ["lease", "ready"])
def test_next_message_watches_over_a_claim_when_its_worker_died_before_it_sent_its_own(
    engine: Engine, kind: Literal["lease", "ready"]
) -> None:
    job_id = engine.job_id("users", things(4))
    held = engine.transact(lambda c: leases.claim(c, engine.embedder.provider, 30.0))
    assert held is not None
    earlier = "b8c9e6c2-0000-4000-8000-000000000000" if kind == "lease" else None

    for _ in range(3):
        engine.worker().handle(wake_up=WakeUp(kind=kind, job_id=job_id, lease_token=earlier))

    ((watch, delay),) = engine.wake_ups.sent
    assert watch == WakeUp(kind="lease", job_id=job_id, lease_token=str(held.lease_token))
    assert 29 < delay <= 31


def test_wake_up_goes_on_when_its_sender_died_before_it_noted_its_round(engine: Engine) -> None:
    engine.job_id("users", things(4))
    held = _vanish(engine, lease="20 seconds")
    wake_up = WakeUp(kind="lease", job_id=held.job_id, lease_token=str(held.lease_token), round=1)

    for _ in range(3):
        engine.worker().handle(wake_up=wake_up)

    ((onward, _delay),) = engine.wake_ups.sent
    assert onward == wake_up.model_copy(update={"round": 2})


@pytest.mark.parametrize("kind", ["lease", "ready"])
def test_one_copy_of_a_wake_up_goes_on_when_the_queue_makes_ten(
    engine: Engine, kind: Literal["lease", "ready"]
) -> None:
    job_id = engine.job_id("users", things(4))
    if kind == "lease":
        wake_up = WakeUp(kind="lease", job_id=job_id, lease_token=str(_vanish(engine, lease="20 seconds").lease_token))
    else:
        wake_up = WakeUp(job_id=job_id)
        engine.sql("UPDATE jobs SET ready_at = now() + interval '20 seconds'")

    for _ in range(3):
        copies = [engine.worker().outcomes(wake_up=wake_up) for _ in range(10)]
        ((wake_up, _delay),) = engine.wake_ups.sent
        engine.wake_ups.sent.clear()

        assert copies == [[]] * 10
    assert wake_up.round == 3


def test_wake_up_for_a_lease_is_dropped_when_another_claim_followed(engine: Engine) -> None:
    engine.job_id("users", things(4))
    held = _vanish(engine, lease="20 seconds")
    wake_up = WakeUp(kind="lease", job_id=held.job_id, lease_token="b8c9e6c2-0000-4000-8000-000000000000")

    engine.worker().handle(wake_up=wake_up)

    assert engine.wake_ups.sent == []


def test_wake_up_is_sent_again_when_it_comes_before_the_backoff_ends(engine: Engine) -> None:
    job_id = engine.job_id("users", things(4))
    engine.sql("UPDATE jobs SET ready_at = now() + interval '100 seconds'")

    engine.worker().handle(job_id=job_id)

    ((woken, delay),) = engine.wake_ups.of_kind("ready")
    assert woken == job_id
    assert 100 < delay <= 101


def test_cool_down_is_shared_and_spends_no_attempt_when_the_provider_throttles(engine: Engine) -> None:
    job_id = engine.job_id("users", things(8))
    engine.job_id("others", things(8, "other"))
    _raise_on_call(engine, 3, ProviderThrottled(retry_after=40.0))

    assert engine.worker().outcomes() == ["held_up"]

    job = engine.job(job_id)
    assert (job.status, job.attempts, job.error_code) == ("pending", 1, "provider_throttled")
    assert engine.worker().outcomes() == [], "another worker calls the provider during its cool-down"
    assert [delay for woken, delay in engine.wake_ups.of_kind("ready") if woken == job_id] == [pytest.approx(40, abs=1)]

    engine.embedder.script = lambda texts: None
    engine.sql("UPDATE cool_downs SET until = now()")
    engine.sql("UPDATE jobs SET ready_at = now()")
    assert engine.worker().outcomes() == ["published", "published"]
    assert engine.sql("SELECT * FROM cool_downs") == []
    assert engine.job(job_id).attempts == 1


@pytest.mark.parametrize("error", [ProviderUnavailable(), ProviderTimeout()])
def test_no_attempt_is_spent_when_the_provider_is_away(engine: Engine, error: OpdexError) -> None:
    job_id = engine.job_id("users", things(8))
    engine.embedder.reachable = False
    _always_raise(engine, error)

    for _ in range(8):
        assert engine.worker(embedding_timeout_seconds=1).outcomes() == ["held_up"]
        engine.sql("UPDATE cool_downs SET until = now()")
        engine.sql("UPDATE jobs SET ready_at = now()")

    assert engine.job(job_id).attempts == 1
    (cool_down,) = engine.sql("SELECT strikes FROM cool_downs")
    assert cool_down["strikes"] == 8


def test_wait_grows_when_the_provider_stays_away(engine: Engine) -> None:
    job_id = engine.job_id("users", things(8))
    _always_raise(engine, ProviderUnavailable())
    for _ in range(9):
        engine.worker().handle()
        engine.sql("UPDATE cool_downs SET until = now()")
        engine.sql("UPDATE jobs SET ready_at = now()")

    delays = [round(delay) for woken, delay in engine.wake_ups.of_kind("ready") if woken == job_id]
    assert delays == [5, 10, 20, 40, 80, 160, 300, 300, 300]


def test_job_fails_as_unavailable_when_nothing_else_happened_for_a_day(engine: Engine) -> None:
    job_id = engine.job_id("users", things(8))
    _always_raise(engine, ProviderThrottled(retry_after=1.0))
    engine.worker().handle()
    engine.sql("UPDATE cool_downs SET until = now()")
    engine.sql("UPDATE jobs SET ready_at = now(), held_up_since = now() - interval '25 hours'")

    assert engine.worker().outcomes() == ["failed"]

    job = engine.job(job_id)
    assert (job.status, job.error_code, job.attempts) == ("failed", "provider_unavailable", 1)
    assert job.next_try_at is not None


@pytest.mark.parametrize("error", [ProviderFailed(), ProviderMisbehaved()])
def test_job_is_parked_when_five_attempts_fail(engine: Engine, error: OpdexError) -> None:
    job_id = engine.job_id("users", things(8))
    _always_raise(engine, error)
    seen = []
    for _ in range(5):
        seen.append((engine.worker().outcomes(), engine.job(job_id).attempts))
        engine.sql("UPDATE jobs SET ready_at = now() WHERE status = 'pending'")

    assert seen == [(["retried"], 2), (["retried"], 3), (["retried"], 4), (["retried"], 5), (["failed"], 5)]
    job = engine.job(job_id)
    assert (job.status, job.error_code, job.last_error) == ("failed", error.code, error.message)
    assert job.next_try_at is not None


def test_what_was_embedded_is_kept_when_an_attempt_fails(engine: Engine) -> None:
    job_id = engine.job_id("users", things(8))
    _raise_on_call(engine, 3, ProviderFailed())
    engine.worker().handle()
    engine.embedder.script = lambda texts: None
    engine.sql("UPDATE jobs SET ready_at = now()")

    assert engine.worker().outcomes() == ["published"]

    assert len(engine.embedder.texts) == len(set(engine.embedder.texts)) == 8
    assert engine.job(job_id).attempts == 2


def test_job_fails_at_once_when_the_provider_refuses_the_configuration(engine: Engine) -> None:
    job_id = engine.job_id("users", things(8))
    _always_raise(engine, ProviderRefused("no such model"))

    assert engine.worker().outcomes() == ["failed"]

    job = engine.job(job_id)
    assert (job.attempts, job.error_code, job.last_error) == (1, "provider_refused", "no such model")
    assert job.next_try_at is not None


def test_operation_is_named_when_the_provider_rejects_its_text(engine: Engine) -> None:
    job_id = engine.job_id("users", things(12))

    def reject(texts: Sequence[str]) -> None:
        if any(text.startswith("thing number 9.") for text in texts):
            raise TextRejected("too odd")

    engine.embedder.script = reject

    assert engine.worker().outcomes() == ["failed"]

    job = engine.job(job_id)
    assert (job.error_code, job.last_error) == ("text_rejected", "GET /things/9: too odd")
    assert job.next_try_at is None, "trying again cannot help"


def test_operation_is_named_when_its_text_outlasts_two_whole_slices(engine: Engine) -> None:
    job_id = engine.job_id("users", things(1))
    _always_raise(engine, ProviderTimeout())

    assert engine.worker().outcomes(seconds=5) == ["retried"]
    engine.sql("UPDATE jobs SET ready_at = now()")
    assert engine.worker().outcomes(seconds=5) == ["failed"]

    job = engine.job(job_id)
    assert job.error_code == "text_too_slow"
    assert job.last_error.startswith("GET /things/0: ")
    assert job.next_try_at is not None


def test_job_succeeds_when_the_queue_takes_no_message(engine: Engine) -> None:
    engine.job_id("users", things(4))
    engine.wake_ups.broken = True

    assert engine.worker().outcomes() == ["published"]


def test_worker_stops_when_the_database_goes_away_past_the_lease(engine: Engine) -> None:
    job_id = engine.job_id("users", things(4))

    def cut(texts: Sequence[str]) -> None:
        if len(engine.embedder.calls) == 1:
            engine.sql("UPDATE pg_database SET datallowconn = false WHERE datname = current_database()")
            engine.sql(
                """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE datname = current_database() AND pid <> pg_backend_pid()"""
            )

    engine.embedder.script = cut
    with pytest.raises(DatabaseUnavailable):
        engine.worker(lease_seconds=1.0).handle()
    engine.sql("UPDATE pg_database SET datallowconn = true WHERE datname = current_database()")

    assert engine.job(job_id).status == "running"
    assert len(engine.embedder.calls) == 2, "a call was started while a chunk waited unwritten"


def test_worker_and_heartbeat_give_up_in_their_invocation_when_the_database_hangs(
    engine: Engine, database_url: str
) -> None:
    job_id = engine.job_id("users", things(4))
    with Network(database_url) as network, closing(Engine(network.url)) as remote:
        engine.embedder.script = lambda texts: network.hang()
        engine.embedder.seconds_a_call = 0.5  # in which the heartbeat asks, too
        worker = remote.worker(engine.embedder, database_statement_seconds=_LONGER_THAN_ANY_TEST, heartbeat_seconds=0.1)

        with pytest.raises(DatabaseUnavailable):
            worker.handle(seconds=4)

    assert engine.job(job_id).status == "running"


def test_job_goes_on_when_its_connection_is_cut_between_chunks(engine: Engine) -> None:
    job_id = engine.job_id("users", things(12))

    def cut(texts: Sequence[str]) -> None:
        engine.sql(
            """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()"""
        )

    engine.embedder.script = cut

    assert engine.worker().outcomes() == ["published"]
    assert engine.job(job_id).attempts == 1
    assert len(engine.embedder.texts) == 12


def test_lease_is_renewed_by_the_heartbeat_when_a_call_is_slow(engine: Engine) -> None:
    engine.job_id("users", things(1))
    seen: list[float] = []

    def watch(texts: Sequence[str]) -> None:
        for _ in range(3):
            threading.Event().wait(0.5)
            (row,) = engine.sql("SELECT extract(epoch FROM lease_expires_at - now())::float8 AS left FROM jobs")
            seen.append(row["left"])

    engine.embedder.script = watch

    assert engine.worker(lease_seconds=1.0, heartbeat_seconds=0.1).outcomes() == ["published"]
    assert all(left > 0.5 for left in seen)


def test_lease_ends_with_the_invocation_when_that_comes_first(engine: Engine) -> None:
    engine.job_id("users", things(1))
    seen: list[float] = []

    def watch(texts: Sequence[str]) -> None:
        (row,) = engine.sql("SELECT extract(epoch FROM lease_expires_at - now())::float8 AS left FROM jobs")
        seen.append(row["left"])

    engine.embedder.script = watch
    engine.worker().handle(seconds=3)

    assert seen[0] <= 3


def test_attempt_is_spent_and_logged_when_a_slice_breaks(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    job_id = engine.job_id("users", things(8))

    def break_down(texts: Sequence[str]) -> None:
        raise ZeroDivisionError

    engine.embedder.script = break_down

    assert engine.worker().outcomes() == ["retried"]
    assert engine.job(job_id).error_code == "slice_broke"
    (broke,) = (record for record in caplog.records if record.message == "slice broke")
    assert broke.errors[0]["type"] == "ZeroDivisionError"  # type: ignore[attr-defined]


def test_wake_up_of_the_newest_claim_goes_on_when_its_job_waits_for_a_cool_down(engine: Engine) -> None:
    job_id = engine.job_id("users", things(4))
    _always_raise(engine, ProviderThrottled(retry_after=50.0))
    engine.worker().handle()
    ((newest, _),) = [(wake_up, delay) for wake_up, delay in engine.wake_ups.sent if wake_up.kind == "lease"]
    engine.wake_ups.sent.clear()

    assert engine.worker().outcomes(wake_up=newest) == []

    ((again, delay),) = engine.wake_ups.sent
    assert again == newest.model_copy(update={"round": 1})
    assert 49 < delay <= 51
    assert engine.job(job_id).status == "pending"


def test_wake_up_of_a_claim_claims_again_when_its_job_was_handed_back(engine: Engine) -> None:
    engine.job_id("users", things(4))
    held = _claim_and_watch(engine)
    engine.transact(lambda c: leases.yield_job(c, held, idle=False))

    wake_up = WakeUp(kind="lease", job_id=held.job_id, lease_token=str(held.lease_token))

    assert engine.worker().outcomes(wake_up=wake_up) == ["published"]
    assert engine.wake_ups.sent[0] == (wake_up.model_copy(update={"round": 1}), 5.0), "should another worker die"


def test_wake_up_of_a_claim_ends_when_its_job_has_ended(engine: Engine) -> None:
    engine.job_id("users", things(4))
    engine.worker().handle()
    ((newest, _),) = [(wake_up, delay) for wake_up, delay in engine.wake_ups.sent if wake_up.kind == "lease"]
    engine.wake_ups.sent.clear()

    assert engine.worker().outcomes(wake_up=newest) == []
    assert engine.wake_ups.sent == []


def test_first_wake_up_waits_with_its_job_when_a_cool_down_came_before_it(engine: Engine) -> None:
    job_id = engine.job_id("users", things(4))
    engine.sql("INSERT INTO cool_downs VALUES ('scripted', now() + interval '40 seconds', 1, 'busy')")

    assert engine.worker().outcomes(job_id=job_id) == []

    ((woken, delay),) = engine.wake_ups.of_kind("ready")
    assert woken == job_id
    assert 40 < delay <= 41


def test_wake_up_of_a_claim_goes_on_when_it_is_used_for_another_job(engine: Engine) -> None:
    first = engine.job_id("first", things(4, "a"))
    held = _claim_and_watch(engine)
    engine.job_id("second", things(4, "b"))
    watch = WakeUp(kind="lease", job_id=first, lease_token=str(held.lease_token))

    assert engine.worker().outcomes(wake_up=watch) == ["published"]

    onward = watch.model_copy(update={"round": 1})
    assert [delay for wake_up, delay in engine.wake_ups.sent if wake_up == onward] == [pytest.approx(31, abs=1)]


@pytest.mark.parametrize(("retry_after", "least", "most"), [(0.0, 1, 1), (2.5, 2, 3), (1e9, 3599, 3600)])
def test_wait_is_bounded_when_the_provider_asks_for_an_odd_one(
    engine: Engine, retry_after: float, least: float, most: float
) -> None:
    engine.job_id("users", things(4))
    _always_raise(engine, ProviderThrottled(retry_after=retry_after))

    assert engine.worker().outcomes() == ["held_up"]

    (delay,) = [delay for _, delay in engine.wake_ups.of_kind("ready")]
    assert least - 0.1 <= delay <= most


def test_wait_grows_when_the_provider_keeps_saying_at_once(engine: Engine) -> None:
    engine.job_id("users", things(4))
    _always_raise(engine, ProviderThrottled(retry_after=0.0))
    for _ in range(5):
        engine.worker().handle()
        engine.sql("UPDATE cool_downs SET until = now()")
        engine.sql("UPDATE jobs SET ready_at = now()")

    assert [round(delay) for _, delay in engine.wake_ups.of_kind("ready")] == [1, 2, 4, 8, 16]


def test_running_worker_rests_when_another_one_was_throttled(engine: Engine) -> None:
    job_id = engine.job_id("users", things(40))

    def throttle_elsewhere(texts: Sequence[str]) -> None:
        if len(engine.embedder.calls) == 2:
            engine.sql("INSERT INTO cool_downs VALUES ('scripted', now() + interval '60 seconds', 1, 'busy')")

    engine.embedder.script = throttle_elsewhere

    assert engine.worker().outcomes() == ["held_up"]
    assert len(engine.embedder.calls) <= 4
    job = engine.job(job_id)
    assert (job.status, job.attempts) == ("pending", 1)
    assert [delay for _, delay in engine.wake_ups.of_kind("ready")] == [pytest.approx(60, abs=1)]
    assert (job.events[-1].event, job.events[-1].detail["idle"]) == ("yielded", False)
    assert job.events[-1].detail["rest_seconds"] == pytest.approx(60, abs=1)
    assert engine.sql("SELECT id FROM jobs WHERE ready_at > now() + interval '50 seconds'") == [{"id": job_id}]


def test_progress_starts_anew_when_the_model_was_changed_in_the_middle_of_a_job(engine: Engine) -> None:
    job_id = engine.job_id("users", things(12))
    engine.embedder.seconds_a_call = 0.15
    assert engine.worker().outcomes(seconds=0.9) == ["yielded"]
    other = ScriptedEmbedder(model="other")

    assert engine.worker(other).outcomes() == ["published"]

    counts = [event.detail["embedded_so_far"] for event in engine.job(job_id).events if event.event == "chunk"]
    assert counts[-1] == 12
    assert len(other.texts) == 12


def test_slow_text_is_given_a_second_slice_when_a_worker_vanished_before(engine: Engine) -> None:
    engine.job_id("users", things(1))
    engine.sql("UPDATE jobs SET attempts = 3")
    _always_raise(engine, ProviderTimeout())

    assert engine.worker().outcomes(seconds=5) == ["retried"]


def test_attempt_is_spent_at_once_when_the_database_refuses_for_good(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = engine.job_id("users", things(1))
    engine.embedder.embed_queries = lambda texts: [[1.0] * 16_001 for _ in texts]  # type: ignore[method-assign]

    assert engine.worker().outcomes() == ["retried"]
    assert engine.job(job_id).error_code == "database_failed"
    (failed,) = (record for record in caplog.records if record.message == "attempt failed")
    assert [error["sqlstate"] for error in failed.errors][-1] == "54000"  # type: ignore[attr-defined]


def test_patience_starts_anew_when_something_else_happened(engine: Engine) -> None:
    engine.job_id("users", things(4))
    for error in (ProviderThrottled(retry_after=1.0), ProviderFailed(), ProviderThrottled(retry_after=1.0)):
        engine.sql("UPDATE cool_downs SET until = now()")
        engine.sql("UPDATE jobs SET ready_at = now(), held_up_since = held_up_since - interval '25 hours'")
        _always_raise(engine, error)
        outcomes = engine.worker().outcomes()

    assert outcomes == ["held_up"]


def test_slice_does_not_wait_for_calls_when_its_lease_is_lost(engine: Engine) -> None:
    job_id = engine.job_id("users", things(12))
    let_go = threading.Event()

    def cancel_and_hang(texts: Sequence[str]) -> None:
        if len(engine.embedder.calls) == 1:
            engine.transact(lambda c: enqueue.cancel(c, job_id))
        elif len(engine.embedder.calls) > 1:
            let_go.wait(30)

    engine.embedder.script = cancel_and_hang
    try:
        assert engine.worker().outcomes() == ["lease_lost"]
        assert not let_go.is_set()
    finally:
        let_go.set()


def test_slice_makes_room_when_shorter_jobs_wait_and_it_has_had_its_turn(engine: Engine) -> None:
    large = engine.job_id("large", things(60))
    engine.embedder.seconds_a_call = 0.02

    def upload_others(texts: Sequence[str]) -> None:
        if len(engine.embedder.calls) == 2:
            for name in ("one", "two", "three"):
                engine.job_id(name, things(3, name))

    engine.embedder.script = upload_others

    made_room, *others = engine.worker(make_room_seconds=0.1).handle()

    assert (made_room.outcome, made_room.wake_in) == ("made_room", 0)
    assert [result.outcome for result in others] == ["published"] * 4
    ended = engine.sql("SELECT spec_name, attempts FROM jobs ORDER BY completed_at")
    assert [row["spec_name"] for row in ended] == ["one", "two", "three", "large"]
    assert {row["attempts"] for row in ended} == {1}
    assert len(engine.embedder.texts) == len(set(engine.embedder.texts)) == 69
    (yielded,) = [event.detail for event in engine.job(large).events if event.event == "yielded"]
    assert yielded == {"idle": False, "rest_seconds": 0}
    assert engine.wake_ups.of_kind("ready").count((large, 0)) == 1, "as the sibling of the last short one alone"


def test_slice_goes_on_when_a_shorter_job_waits_and_it_has_not_had_its_turn(engine: Engine) -> None:
    engine.job_id("large", things(20))

    def upload_another(texts: Sequence[str]) -> None:
        if len(engine.embedder.calls) == 1:
            engine.job_id("short", things(1, "other"))

    engine.embedder.script = upload_another

    assert engine.worker(make_room_seconds=60.0).outcomes() == ["published", "published"]
    ended = engine.sql("SELECT spec_name FROM jobs ORDER BY completed_at")
    assert [row["spec_name"] for row in ended] == ["large", "short"]


def test_job_is_published_when_another_worker_is_throttled_during_its_last_call(engine: Engine) -> None:
    engine.job_id("users", things(1))

    def throttle_elsewhere(texts: Sequence[str]) -> None:
        engine.sql("INSERT INTO cool_downs VALUES ('scripted', now() + interval '60 seconds', 1, 'busy')")

    engine.embedder.script = throttle_elsewhere

    assert engine.worker().outcomes() == ["published"]


def test_strikes_are_forgotten_when_a_single_text_is_answered(engine: Engine) -> None:
    engine.job_id("users", things(1))
    engine.sql("INSERT INTO cool_downs VALUES ('scripted', now() - interval '1 second', 4, 'busy')")

    assert engine.worker().outcomes() == ["published"]
    assert engine.sql("SELECT strikes FROM cool_downs") == []


def test_slice_goes_on_when_only_a_longer_job_waits(engine: Engine) -> None:
    engine.job_id("first", things(60))
    engine.job_id("longer", things(70, "other"))
    engine.embedder.seconds_a_call = 0.02

    assert engine.worker(make_room_seconds=0.1).outcomes() == ["published", "published"]
    ended = engine.sql("SELECT spec_name FROM jobs ORDER BY completed_at")
    assert [row["spec_name"] for row in ended] == ["first", "longer"]


def test_first_answer_of_another_length_is_overruled_when_nothing_is_published_yet(engine: Engine) -> None:
    embedder = LengthsEmbedder(lengths=[5])
    job_id = engine.job_id("users", things(12))

    assert engine.worker(embedder).outcomes() == ["retried"]
    assert "answers vectors of 8 dimensions where 5 are stored" in engine.job(job_id).last_error
    engine.sql("UPDATE jobs SET ready_at = now()")
    assert engine.worker(embedder).outcomes() == ["published"]

    assert engine.sql("SELECT dimension FROM models") == [{"dimension": 8}]
    assert engine.sql("SELECT DISTINCT vector_dims(embedding) AS length FROM vectors") == [{"length": 8}]
    (counts,) = engine.sql("SELECT attempts, embedded_so_far, operation_count FROM jobs WHERE id = %s", job_id)
    assert counts == {"attempts": 2, "embedded_so_far": 12, "operation_count": 12}


def test_job_fails_when_its_provider_keeps_changing_its_length(engine: Engine) -> None:
    embedder = LengthsEmbedder(lengths=[8, 6] * 100)
    embedder.max_texts = 1
    job_id = engine.job_id("users", things(6))

    for _ in range(5):
        engine.worker(embedder).handle()
        engine.sql("UPDATE jobs SET ready_at = now() WHERE status = 'pending'")

    job = engine.job(job_id)
    assert (job.status, job.error_code, job.attempts) == ("failed", "provider_misbehaved", 5)
    assert len(embedder.calls) <= 5 * 6


def test_first_vectors_settle_the_length_when_an_empty_spec_was_published_before(engine: Engine) -> None:
    engine.upload("empty", [])
    engine.job_id("users", things(4))

    assert engine.worker().outcomes() == ["published"]


def test_nothing_is_forgotten_when_a_late_answer_of_another_length_belongs_to_a_cancelled_job(engine: Engine) -> None:
    first = engine.job_id("first", things(1, "a"))
    engine.worker().handle()
    engine.sql("UPDATE specs SET published_revision = NULL, published_model_id = NULL")
    late = engine.job_id("late", things(1, "b"))
    embedder = LengthsEmbedder(lengths=[5])
    embedder.script = lambda texts: engine.transact(lambda c: enqueue.cancel(c, late))

    assert engine.worker(embedder).outcomes() == ["lease_lost"]
    assert engine.sql("SELECT dimension FROM models") == [{"dimension": 8}]
    assert engine.sql("SELECT count(*) AS vectors FROM vectors") == [{"vectors": 1}]
    assert engine.job(first).status == "succeeded"


def test_later_answer_of_another_length_is_refused_when_more_texts_have_the_first(engine: Engine) -> None:
    embedder = LengthsEmbedder(lengths=[8, 8, 8, 5])
    job_id = engine.job_id("users", things(16))

    assert engine.worker(embedder).outcomes() == ["retried"]
    assert engine.job(job_id).error_code == "provider_misbehaved"
    engine.sql("UPDATE jobs SET ready_at = now()")
    assert engine.worker(embedder).outcomes() == ["published"]
    assert engine.sql("SELECT DISTINCT vector_dims(embedding) AS length FROM vectors") == [{"length": 8}]


def test_answer_of_another_length_is_refused_when_a_spec_is_published_with_the_first(engine: Engine) -> None:
    engine.job_id("one", things(1, "one"))
    engine.worker().handle()
    engine.job_id("users", things(12))

    assert engine.worker(LengthsEmbedder(lengths=[5] * 9)).outcomes() == ["retried"]
    assert engine.sql("SELECT dimension FROM models") == [{"dimension": 8}]
    assert engine.sql("SELECT count(*) AS vectors FROM vectors") == [{"vectors": 1}]


class LengthsEmbedder(ScriptedEmbedder):
    """Answers vectors of the given lengths, call by call, and of 8 dimensions after those."""

    def __init__(self, lengths: list[int]) -> None:
        super().__init__()
        self._lengths = lengths

    def embed(self, texts: Sequence[str], timeout: float) -> list[Vector]:
        length = self._lengths.pop(0) if self._lengths else 8
        return [vector[:length] for vector in super().embed(texts, timeout)]


def test_parked_job_stays_shut_when_an_upload_unparked_it_while_the_sweep_waited(engine: Engine) -> None:
    job_id = engine.job_id("users", things(2))
    held = _claim_and_watch(engine)
    engine.transact(lambda c: leases.fail(c, held, ProviderFailed(), parked=True))
    engine.sql("UPDATE jobs SET next_try_at = now()")
    uploading = Database(engine.settings)
    swept: list[Swept] = []
    with uploading.transaction() as c:
        c.execute("SELECT FROM specs FOR NO KEY UPDATE")
        sweeping = threading.Thread(target=lambda: swept.append(_sweep(engine)))
        sweeping.start()
        wait_until(engine.somebody_waits)
        c.execute("UPDATE jobs SET next_try_at = NULL")
        c.execute("UPDATE specs SET published_revision = 1, published_model_id = (SELECT id FROM models)")
    sweeping.join()
    uploading.close()

    assert [row["id"] for row in engine.sql("SELECT id FROM jobs")] == [job_id]


def _sweep(engine: Engine) -> Swept:
    database = Database(engine.settings)
    try:
        return sweep(
            database, engine.wake_ups, engine.embedder.identity, workers=1, max_attempts=5, retention_days=14, seconds=5
        )
    finally:
        database.close()


def test_single_text_fails_by_name_when_it_takes_all_the_time_of_a_call(engine: Engine) -> None:
    job_id = engine.job_id("users", things(1))
    engine.embedder.script = _sleep_into_a_time_out

    assert engine.worker(embedding_timeout_seconds=0.2).outcomes() == ["retried"]
    engine.sql("UPDATE jobs SET ready_at = now()")
    assert engine.worker(embedding_timeout_seconds=0.2).outcomes() == ["failed"]

    job = engine.job(job_id)
    assert job.error_code == "text_too_slow"
    assert "GET /things/0" in job.last_error
    assert engine.sql("SELECT * FROM cool_downs") == []


def _sleep_into_a_time_out(texts: Sequence[str]) -> None:
    raise ProviderTimeout
