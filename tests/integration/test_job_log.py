"""What a job tells of itself: its events, and when the next wake-up for it goes out."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest

from opdex.catalog.store import delete_spec
from opdex.errors import (
    OpdexError,
    ProviderFailed,
    ProviderRefused,
    ProviderThrottled,
    ProviderTimeout,
    ProviderUnavailable,
)
from opdex.indexing.slice import SliceResult
from opdex.jobs import enqueue, leases
from tests.integration.engine import CATALOG, Engine, raising, things


def _last_event(engine: Engine, job_id: int) -> tuple[str, dict[str, Any]]:
    event = engine.job(job_id).events[-1]
    return event.event, event.detail


def _hanging_slice(engine: Engine, answered: int = 0) -> SliceResult:
    """Work for a provider that used to answer, and after so many calls more hangs until the time is up."""
    before = len(engine.embedder.calls)

    def script(texts: Sequence[str]) -> None:
        if len(engine.embedder.calls) == before + answered:
            raise ProviderTimeout

    engine.embedder.script = script
    worker = engine.worker()
    worker.pace.measured(4, 0.1, 1)
    engine.sql("UPDATE jobs SET ready_at = now()")
    (result,) = worker.handle(seconds=5)
    return result


def test_attempt_is_spent_when_three_slices_in_a_row_bring_no_vector(engine: Engine) -> None:
    job_id = engine.job_id("users", things(8))

    assert [_hanging_slice(engine) for _ in range(2)] == [SliceResult("yielded", wake_in=0)] * 2
    assert _last_event(engine, job_id) == ("yielded", {"idle": True, "rest_seconds": 0})
    assert engine.job(job_id).attempts == 1
    spent = _hanging_slice(engine)

    assert (spent.outcome, spent.texts_embedded) == ("retried", 0)
    job = engine.job(job_id)
    assert (job.attempts, job.error_code) == (2, "provider_timeout")
    assert job.last_error == "No new vector in 3 slices in a row."
    assert [_hanging_slice(engine).outcome for _ in range(3)] == ["yielded", "yielded", "retried"], "counted anew"


def test_hanging_slices_are_counted_anew_when_one_brought_a_vector(engine: Engine) -> None:
    job_id = engine.job_id("users", things(8))
    for _ in range(2):
        _hanging_slice(engine)
    assert _hanging_slice(engine, answered=1).outcome == "yielded"

    assert len(engine.embedder.texts) == 4
    assert _last_event(engine, job_id) == ("yielded", {"idle": False, "rest_seconds": 0})
    assert [_hanging_slice(engine).outcome for _ in range(3)] == ["yielded", "yielded", "retried"]


def test_rest_is_told_to_the_millisecond_when_a_job_is_handed_back_for_it(engine: Engine) -> None:
    job_id = engine.job_id("users", things(1))
    held = engine.transact(lambda c: leases.claim(c, engine.embedder.provider, 30.0))
    assert held is not None

    engine.transact(lambda c: leases.yield_job(c, held, idle=False, rest_seconds=12.34567))

    assert _last_event(engine, job_id) == ("yielded", {"idle": False, "rest_seconds": 12.346})


@pytest.mark.parametrize(
    ("error", "event"),
    [(ProviderThrottled(retry_after=40.4567), "throttled"), (ProviderUnavailable(), "provider_away")],
)
def test_wait_and_its_reason_are_told_when_the_provider_is_not_to_be_asked(
    engine: Engine, error: OpdexError, event: str
) -> None:
    job_id = engine.job_id("users", things(8))
    engine.embedder.script = raising(error)

    (result,) = engine.worker().handle()

    name, detail = _last_event(engine, job_id)
    assert (name, detail["reason"]) == (event, error.message)
    assert result.wake_in is not None
    assert detail["seconds"] == round(result.wake_in, 3)
    assert detail["seconds"] == pytest.approx(40.457 if event == "throttled" else 5.0, abs=0.01)


def test_hours_of_waiting_are_told_when_nothing_else_happened(engine: Engine) -> None:
    job_id = engine.job_id("users", things(8))
    engine.embedder.script = raising(ProviderUnavailable("Nobody there."))
    engine.worker().handle()
    engine.sql("UPDATE cool_downs SET until = now()")
    engine.sql("UPDATE jobs SET ready_at = now(), held_up_since = now() - interval '25 hours'")

    engine.worker().handle()

    assert engine.job(job_id).last_error == "For 24 hours nothing but: Nobody there."


def test_attempt_and_its_reason_are_told_when_one_failed(engine: Engine) -> None:
    job_id = engine.job_id("users", things(8))
    engine.embedder.script = raising(ProviderFailed("It broke."))

    (result,) = engine.worker().handle()

    assert _last_event(engine, job_id) == (
        "retried",
        {"attempt": 2, "error_code": "provider_failed", "reason": "It broke."},
    )
    assert result.wake_in == pytest.approx(1.5, abs=0.6), "half to all of two seconds"


def test_next_try_is_told_when_a_job_is_parked(engine: Engine) -> None:
    job_id = engine.job_id("users", things(8))
    engine.embedder.script = raising(ProviderRefused("No such key."))

    assert engine.worker().handle() == [SliceResult("failed")]

    job = engine.job(job_id)
    name, detail = _last_event(engine, job_id)
    assert (name, detail["error_code"], detail["reason"]) == ("failed", "provider_refused", "No such key.")
    assert detail["next_try_at"].endswith("+00:00")
    assert datetime.fromisoformat(detail["next_try_at"]) == job.next_try_at


def test_cancellation_is_told_when_a_client_asked_for_it(engine: Engine) -> None:
    job_id = engine.job_id("users", things(1))
    engine.transact(lambda c: enqueue.cancel(c, job_id))
    assert _last_event(engine, job_id) == ("cancelled", {})


def test_cancellation_and_its_reason_are_told_when_the_spec_is_deleted(engine: Engine) -> None:
    job_id = engine.job_id("users", things(1))
    engine.transact(lambda c: delete_spec(c, CATALOG, "users"))
    assert _last_event(engine, job_id) == ("cancelled", {"reason": "spec deleted"})
