"""Which id the lines and messages of a job have, whoever works on it."""

from opdex.jobs import enqueue, leases
from opdex.jobs.sweep import sweep
from opdex.observability import correlation_id, log_context
from tests.integration.engine import Engine, things


def _upload(engine: Engine, spec_name: str, request_id: str | None, kind: str = "thing") -> int:
    with log_context(correlation_id=request_id):
        return engine.job_id(spec_name, things(4, kind))


def _stored(engine: Engine, job_id: int) -> str | None:
    (row,) = engine.sql("SELECT correlation_id FROM jobs WHERE id = %s", job_id)
    stored: str | None = row["correlation_id"]
    return stored


def _sent(engine: Engine) -> dict[tuple[str, int], str | None]:
    return {(wake_up.kind, wake_up.job_id): wake_up.correlation_id for wake_up, _ in engine.wake_ups.sent}


def test_messages_carry_the_id_of_the_job_they_name_when_another_is_worked_on(engine: Engine) -> None:
    first, second = _upload(engine, "first", "request-one"), _upload(engine, "second", "request-two", "other")

    with log_context(correlation_id="of-the-message"):
        engine.worker().handle(second)

    sent = _sent(engine)
    assert sent[("lease", first)] == "request-one"
    assert sent[("ready", second)] == "request-two"
    assert sent[("lease", second)] == "request-two"


def test_hand_over_carries_the_jobs_id_when_time_is_up(engine: Engine) -> None:
    job_id = _upload(engine, "users", "a-request")
    engine.embedder.max_texts, engine.embedder.seconds_a_call = 1, 0.2

    assert "yielded" in engine.worker().outcomes(job_id=job_id, seconds=0.8)

    assert _sent(engine)[("ready", job_id)] == "a-request"


def test_message_that_is_sent_on_carries_the_jobs_id_when_another_worker_has_the_job(engine: Engine) -> None:
    job_id = _upload(engine, "users", "a-request")
    assert engine.transact(lambda c: leases.claim(c, engine.embedder.provider, 30.0))

    with log_context(correlation_id="of-the-message"):
        engine.worker().handle(job_id)

    assert _sent(engine) == {("lease", job_id): "a-request"}


def test_chunks_are_told_under_the_jobs_id_alone(engine: Engine) -> None:
    _upload(engine, "first", "request-one")
    _upload(engine, "second", "request-two", "other")
    seen: list[str | None] = []
    engine.embedder.script = lambda texts: seen.append(correlation_id())

    with log_context(correlation_id="of-the-message"):
        engine.worker().handle()
        assert correlation_id() == "of-the-message"

    assert list(dict.fromkeys(seen)) == ["request-one", "request-two"]


def test_job_takes_the_id_of_the_request_that_renews_it(engine: Engine) -> None:
    job_id = _upload(engine, "users", "the-first")
    assert _upload(engine, "users", "the-second", "other") == job_id
    assert _stored(engine, job_id) == "the-second"
    assert _upload(engine, "users", None, "third") == job_id
    assert _stored(engine, job_id) == "the-second"


def test_job_of_before_is_worked_on_when_it_has_no_id(engine: Engine) -> None:
    job_id = _upload(engine, "users", None)

    assert engine.worker().outcomes(job_id=job_id) == ["published"]

    assert _sent(engine)[("lease", job_id)] is None


def test_sweep_wakes_under_the_jobs_id_and_opens_under_its_own(engine: Engine) -> None:
    waiting = _upload(engine, "waiting", "a-request")
    cancelled = _upload(engine, "gap", "another-request", "other")
    engine.transact(lambda c: enqueue.cancel(c, cancelled))
    engine.sql("DELETE FROM jobs WHERE id = %s", cancelled)

    with log_context(correlation_id="sweep-of-the-test"):
        sweep(engine.database, engine.wake_ups, engine.embedder.identity, workers=2, max_attempts=5, retention_days=14)

    (opened,) = engine.sql("SELECT id FROM jobs WHERE kind = 'reconciler'")
    assert _stored(engine, opened["id"]) == "sweep-of-the-test"
    assert _sent(engine) == {("ready", waiting): "a-request", ("ready", opened["id"]): "sweep-of-the-test"}
