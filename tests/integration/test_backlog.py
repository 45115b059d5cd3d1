"""How much work is open, as the alarms hear of it."""

import pytest

from opdex.jobs import leases
from tests.integration.engine import Engine, things


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float]]:
    figures: list[tuple[str, float]] = []
    monkeypatch.setattr("opdex.jobs.backlog.measure", lambda name, value: figures.append((name, value)))
    return figures


def test_nothing_is_open_when_the_last_job_is_done(engine: Engine, measured: list[tuple[str, float]]) -> None:
    engine.job_id("users", things(3))
    engine.job_id("loans", things(3, "loan"))
    engine.worker().handle()
    assert measured == [("OpenJobs", 0), ("OldestReadyJobAge", 0)]


def test_job_is_open_when_another_worker_holds_it(engine: Engine, measured: list[tuple[str, float]]) -> None:
    engine.job_id("users", things(3))
    assert engine.transact(lambda c: leases.claim(c, engine.embedder.provider, 30.0))
    engine.worker().handle()
    assert measured == [("OpenJobs", 1), ("OldestReadyJobAge", 0)]


def test_job_has_its_age_when_it_is_ready_and_kept_by_a_cool_down(
    engine: Engine, measured: list[tuple[str, float]]
) -> None:
    engine.job_id("users", things(3))
    engine.sql("UPDATE jobs SET ready_at = ready_at - interval '1 hour'")
    engine.sql(
        "INSERT INTO cool_downs (provider, until, reason) VALUES (%s, now() + interval '1 minute', 'away')",
        engine.embedder.provider,
    )
    engine.worker().handle()
    (_, open_jobs), (_, age) = measured
    assert open_jobs == 1
    assert 3600 <= age < 3660


def test_job_is_not_open_when_it_is_in_its_backoff(engine: Engine, measured: list[tuple[str, float]]) -> None:
    engine.job_id("users", things(3))
    engine.sql("UPDATE jobs SET ready_at = now() + interval '1 hour'")
    engine.worker().handle()
    assert measured == [("OpenJobs", 0), ("OldestReadyJobAge", 0)]
