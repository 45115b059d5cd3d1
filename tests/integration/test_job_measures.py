"""What is measured of jobs, claims and texts, as the dashboard and the alarms hear of it."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from opdex import observability
from opdex.catalog.store import delete_catalog, delete_spec
from opdex.errors import (
    OpdexError,
    ProviderFailed,
    ProviderRefused,
    ProviderThrottled,
    ProviderTimeout,
    TextRejected,
)
from opdex.jobs import enqueue, leases
from tests.integration.engine import CATALOG, Engine, raising, things

type Figures = Callable[[str], list[float]]


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> Figures:
    """Gives what was measured under a name since the test began."""
    measured: list[tuple[str, float]] = []
    monkeypatch.setattr(observability.metrics, "add_metric", lambda name, unit, value: measured.append((name, value)))
    return lambda name: [value for metric, value in measured if metric == name]


def _vanish(engine: Engine) -> None:
    """Claim a job as a worker that is never heard of again; its lease has run out since."""
    assert engine.transact(lambda c: leases.claim(c, engine.embedder.provider, 30.0))
    engine.sql("UPDATE jobs SET lease_expires_at = now() - interval '1 second' WHERE status = 'running'")


def test_texts_and_the_wait_are_measured_when_a_job_is_worked_off(engine: Engine, figures: Figures) -> None:
    job_id = engine.job_id("users", things(12))
    engine.sql("UPDATE jobs SET ready_at = now() - interval '1 hour'")
    engine.embedder.seconds_a_call = 0.01

    assert engine.worker().outcomes() == ["published"]

    assert figures("JobsSucceeded") == [1]
    assert figures("SlicesPerJob") == [1]
    assert sum(figures("TextsEmbedded")) == 12
    assert len(figures("TextsEmbedded")) == engine.events(job_id).count("chunk") > 1, "as they are written"
    assert figures("TextsWasted") == [0]
    assert figures("TextsReused") == [0]
    assert figures("OldestReadyJobAge") == [pytest.approx(3600, abs=60), 0]
    assert len(figures("ChunkLatency")) == len(engine.embedder.calls)
    assert min(figures("ChunkLatency")) >= 10


def test_reused_texts_are_measured_once_when_a_job_takes_two_slices(engine: Engine, figures: Figures) -> None:
    engine.job_id("users", things(6))
    engine.worker().handle()
    engine.job_id("more", things(9))
    engine.embedder.script = raising(ProviderFailed())
    assert engine.worker().outcomes() == ["retried"]
    engine.embedder.script = lambda texts: None
    engine.sql("UPDATE jobs SET ready_at = now()")

    assert engine.worker().outcomes() == ["published"]

    assert figures("TextsReused") == [0, 6]
    assert figures("AttemptsFailed") == [1]
    assert figures("SlicesPerJob") == [1, 2]


def test_jobs_and_their_operations_are_measured_when_they_miss_nothing(engine: Engine, figures: Figures) -> None:
    for name, count in (("all", 6), ("five", 5), ("four", 4)):
        engine.job_id(name, things(count))

    assert engine.worker().outcomes() == ["published"] * 3

    assert sum(figures("JobsSucceeded")) == 3
    assert sum(figures("TextsReused")) == 9
    assert figures("SlicesPerJob") == [1], "of jobs with a slice"


@pytest.mark.parametrize(("read_with_the_claim", "reused"), [(True, 2), (False, 0)])
def test_operations_are_measured_where_they_were_read_with_the_claim_when_it_publishes(
    engine: Engine, figures: Figures, monkeypatch: pytest.MonkeyPatch, read_with_the_claim: bool, reused: int
) -> None:
    engine.job_id("users", things(2))
    engine.worker().handle()
    engine.transact(lambda c: enqueue.reembed_catalog(c, CATALOG))
    engine.sql("UPDATE jobs SET fresh_after = NULL")
    claim = leases.claim

    def claim_without(*values: object) -> leases.Claim | None:
        held = claim(*values)  # type: ignore[arg-type]
        return held and (held if read_with_the_claim else replace(held, standing=None))

    monkeypatch.setattr(leases, "publish_ready", lambda *_: None)  # as it was a moment before
    monkeypatch.setattr(leases, "claim", claim_without)

    assert engine.worker().outcomes() == ["published"]
    assert figures("TextsReused") == [0, reused]


@pytest.mark.parametrize(
    ("error", "parked"), [(ProviderRefused(), [1]), (TextRejected(), [])], ids=["parked", "for_good"]
)
def test_failed_job_is_measured_as_parked_only_when_it_is_tried_again(
    engine: Engine, figures: Figures, error: OpdexError, parked: list[float]
) -> None:
    engine.job_id("users", things(1))
    engine.embedder.script = raising(error)

    assert engine.worker().outcomes() == ["failed"]

    assert figures("JobsFailed") == [1]
    assert figures("JobsParked") == parked
    assert figures("SlicesPerJob") == [1]
    assert figures("JobsSucceeded") == []


@pytest.mark.parametrize(
    ("error", "metric"),
    [(ProviderThrottled(retry_after=9.0), "SlicesHeldUp"), (ProviderFailed(), "AttemptsFailed")],
)
def test_slice_is_measured_by_how_it_ended_when_its_job_goes_on(
    engine: Engine, figures: Figures, error: OpdexError, metric: str
) -> None:
    engine.job_id("users", things(8))
    engine.embedder.script = raising(error)
    engine.worker().handle()

    assert figures(metric) == [1]
    assert figures("SlicesPerJob") == [], "of ended jobs"
    assert figures("TextsWasted") == [0], "nothing was answered"


def test_answered_texts_are_wasted_when_their_job_was_cancelled(engine: Engine, figures: Figures) -> None:
    job_id = engine.job_id("users", things(3))
    engine.embedder.script = lambda texts: engine.transact(lambda c: enqueue.cancel(c, job_id))
    worker = engine.worker()
    worker.pace.measured(4, 0.1, 1)  # a warm process sends all three at once

    assert worker.outcomes() == ["lease_lost"]

    assert figures("TextsWasted") == [3]
    assert figures("TextsEmbedded") == []
    assert figures("LeasesLost") == [1]
    assert figures("JobsCancelled") == [1]


def test_written_texts_are_wasted_when_another_worker_has_written_them_meanwhile(
    engine: Engine, figures: Figures
) -> None:
    engine.job_id("users", things(1))

    def write_elsewhere(texts: Sequence[str]) -> None:
        engine.embedder.script = lambda texts: None
        engine.job_id("twin", things(1))
        engine.worker().handle()

    engine.embedder.script = write_elsewhere

    assert engine.worker().outcomes() == ["published"]
    assert figures("TextsWasted") == [0, 1]


def test_texts_wasted_before_an_upload_came_are_measured_when_it_was_worked_off_too(
    engine: Engine, figures: Figures
) -> None:
    engine.job_id("users", things(1))

    def write_elsewhere_and_upload(texts: Sequence[str]) -> None:
        engine.embedder.script = lambda texts: None
        engine.job_id("twin", things(1))
        engine.worker().handle()
        engine.job_id("users", things(1, "newer"))

    engine.embedder.script = write_elsewhere_and_upload

    assert engine.worker().outcomes() == ["published"]
    assert figures("TextsWasted") == [0, 1]
    assert figures("TextsEmbedded") == [1, 1, 1]


def test_lost_leases_are_measured_when_workers_vanished(engine: Engine, figures: Figures) -> None:
    for name in ("one", "two", "three"):
        engine.job_id(name, things(1, name))
    engine.sql("UPDATE jobs SET attempts = 5 WHERE spec_name <> 'one'")
    for _ in range(3):
        _vanish(engine)

    assert engine.transact(lambda c: leases.expire_leases(c, 5)) == 3
    assert engine.transact(lambda c: leases.expire_leases(c, 5)) == 0

    assert figures("LeasesExpired") == [3]
    assert figures("JobsFailed") == [2]
    assert figures("JobsParked") == [2]
    failed = engine.sql("SELECT last_error FROM jobs WHERE status = 'failed'")
    assert failed == [{"last_error": "The worker that held this job vanished; its lease ran out."}] * 2


def test_no_failed_job_is_measured_when_the_vanished_worker_had_attempts_left(engine: Engine, figures: Figures) -> None:
    engine.job_id("users", things(1))
    _vanish(engine)

    assert engine.transact(lambda c: leases.expire_leases(c, 5)) == 1

    assert (figures("LeasesExpired"), figures("JobsFailed"), figures("JobsParked")) == ([1], [], [])


def test_slices_are_measured_when_a_job_needs_more_time(engine: Engine, figures: Figures) -> None:
    engine.job_id("users", things(8))
    engine.embedder.script = raising(ProviderTimeout())
    worker = engine.worker()
    worker.pace.measured(4, 0.1, 1)

    assert worker.outcomes(seconds=5) == ["yielded"]
    assert figures("SlicesYielded") == [1]
    assert figures("OldestReadyJobAge")[1:] == [], "the backlog is measured when nothing is left"


def test_cancelled_jobs_are_measured_when_their_spec_or_catalog_goes(engine: Engine, figures: Figures) -> None:
    for name in ("one", "two", "three"):
        engine.job_id(name, things(1, name))
    engine.transact(lambda c: delete_spec(c, CATALOG, "one"))
    engine.transact(lambda c: delete_catalog(c, CATALOG))

    assert figures("JobsCancelled") == [1, 2]
