"""What clients do to jobs, and what the sweep repairs."""

import json
import threading
from collections.abc import Sequence

import pytest

from opdex.catalog.models import Upload
from opdex.catalog.store import delete_catalog, delete_spec
from opdex.catalog.upload import store_document
from opdex.database import Database
from opdex.embedding.registry import register_model
from opdex.errors import (
    CatalogNotFound,
    JobHasEnded,
    JobHasSucceeded,
    JobIsOpen,
    JobNotFound,
    OpdexError,
    ProviderRefused,
    QueueUnavailable,
    SpecNotFound,
    TextRejected,
)
from opdex.jobs import enqueue, leases
from opdex.jobs.models import Enqueued
from opdex.jobs.sweep import Swept, sweep
from opdex.jobs.wakeups import WakeUp
from opdex.openapi import describe
from tests.integration.engine import CATALOG, Engine, RememberedWakeUps, document, things, wait_until


def _sweep(engine: Engine, workers: int = 1, retention_days: int = 14) -> Swept:
    return sweep(
        engine.database,
        engine.wake_ups,
        engine.embedder.identity,
        workers=workers,
        max_attempts=5,
        retention_days=retention_days,
    )


def test_worker_stops_within_one_chunk_when_its_job_is_cancelled(engine: Engine) -> None:
    job_id = engine.job_id("users", things(12))

    def cancel(texts: Sequence[str]) -> None:
        if len(engine.embedder.calls) == 1:
            engine.transact(lambda c: enqueue.cancel(c, job_id))

    engine.embedder.script = cancel

    assert engine.worker().outcomes() == ["lease_lost"]
    assert len(engine.embedder.calls) <= 3, "one call was under way, and one more while the chunk was written"
    assert engine.job(job_id).status == "cancelled"


def test_cancel_is_refused_when_the_job_has_ended(engine: Engine) -> None:
    job_id = engine.job_id("users", things(1))
    engine.worker().handle()

    with pytest.raises(JobHasEnded):
        engine.transact(lambda c: enqueue.cancel(c, job_id))
    with pytest.raises(JobNotFound):
        engine.transact(lambda c: enqueue.cancel(c, 999))


def test_retry_opens_a_new_job_when_the_old_one_was_cancelled(engine: Engine) -> None:
    job_id = engine.job_id("users", things(3))
    with pytest.raises(JobIsOpen):
        engine.transact(lambda c: enqueue.retry(c, job_id))
    engine.transact(lambda c: enqueue.cancel(c, job_id))

    again = engine.transact(lambda c: enqueue.retry(c, job_id))

    assert again.created
    assert again.job_id != job_id
    assert engine.worker().outcomes() == ["published"]
    assert engine.job(again.job_id).kind == "manual_retry"


def test_every_text_is_embedded_again_when_a_spec_is_reembedded(engine: Engine) -> None:
    engine.job_id("users", things(5))
    engine.worker().handle()
    before = engine.sql("SELECT text_hash, made_at FROM vectors ORDER BY text_hash")

    again = engine.transact(lambda c: enqueue.reembed(c, CATALOG, "users"))
    assert again.created
    assert engine.worker().outcomes() == ["published"]

    after = engine.sql("SELECT text_hash, made_at FROM vectors ORDER BY text_hash")
    assert len(engine.embedder.texts) == 10
    assert len(after) == len(before)
    assert all(new["made_at"] > old["made_at"] for new, old in zip(after, before, strict=True))
    assert engine.job(again.job_id).reused == 0


def test_open_job_is_upgraded_when_a_reembed_comes_in_the_middle_of_it(engine: Engine) -> None:
    job_id = engine.job_id("users", things(6))
    upgrades: list[Enqueued] = []

    def reembed(texts: Sequence[str]) -> None:
        if len(engine.embedder.calls) == 1:
            wait_until(lambda: engine.job(job_id).embedded_so_far == 1)
            upgrades.append(engine.transact(lambda c: enqueue.reembed(c, CATALOG, "users")))

    engine.embedder.script = reembed
    assert engine.worker().outcomes() == ["published"]

    assert [(upgrade.job_id, upgrade.created) for upgrade in upgrades] == [(job_id, False)]
    # The first text was made before the re-embed; the chunk that was in flight was written after it.
    assert len(engine.embedder.texts) == 7
    assert engine.job(job_id).status == "succeeded"


def test_job_is_cancelled_and_readable_when_its_spec_is_deleted(engine: Engine) -> None:
    job_id = engine.job_id("users", things(6))
    engine.transact(lambda c: delete_spec(c, CATALOG, "users"))

    assert engine.job(job_id).status == "cancelled"
    assert engine.worker().outcomes() == []
    with pytest.raises(SpecNotFound):
        engine.transact(lambda c: enqueue.retry(c, job_id))

    engine.job_id("users", things(6))
    assert engine.worker().outcomes() == ["published"]


def test_worker_stops_when_the_catalog_is_deleted_in_the_middle_of_it(engine: Engine) -> None:
    job_id = engine.job_id("users", things(6))

    def delete(texts: Sequence[str]) -> None:
        if len(engine.embedder.calls) == 1:
            engine.transact(lambda c: delete_catalog(c, CATALOG))

    engine.embedder.script = delete

    assert engine.worker().outcomes() == ["lease_lost"]
    assert engine.job(job_id).status == "cancelled"


def test_sweep_takes_back_and_wakes_when_a_lease_ran_out(engine: Engine) -> None:
    job_id = engine.job_id("users", things(4))
    engine.transact(lambda c: leases.claim(c, engine.embedder.provider, 30.0))
    engine.sql("UPDATE jobs SET lease_expires_at = now() - interval '1 second'")

    swept = _sweep(engine)

    assert (swept.expired, swept.woken) == (1, 1)
    assert engine.wake_ups.of_kind("ready") == [(job_id, 0)]
    assert engine.job(job_id).attempts == 2


def test_sweep_sends_no_more_wake_ups_than_workers_when_many_jobs_are_ready(engine: Engine) -> None:
    for number in range(5):
        engine.job_id(f"spec{number}", things(2, f"kind{number}"))

    assert _sweep(engine, workers=3).woken == 3
    assert _sweep(engine, workers=0).woken == 0


class _Full(RememberedWakeUps):
    """A queue that takes two messages and no more."""

    def send(self, wake_up: WakeUp, delay_seconds: float = 0) -> None:
        if len(self.sent) == 2:
            raise QueueUnavailable(cause="Full")
        super().send(wake_up, delay_seconds)


def test_sweep_goes_on_and_says_so_when_the_queue_refuses_its_messages(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    measured: list[str] = []
    monkeypatch.setattr("opdex.jobs.backlog.measure", lambda name, _: measured.append(name))
    engine.job_id("old", things(1))
    engine.worker().handle()
    engine.upload("old", things(1, "newer"))
    engine.worker().handle()
    engine.sql("UPDATE jobs SET completed_at = completed_at - interval '15 days'")
    for number in range(3):
        engine.job_id(f"spec{number}", things(2, f"kind{number}"))
    measured.clear()
    caplog.clear()
    engine.wake_ups = _Full()

    swept = _sweep(engine, workers=3)

    assert (swept.woken, swept.forgotten_jobs) == (2, 1)
    assert measured == ["OpenJobs", "OldestReadyJobAge"]
    (line,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert line.message == "workers not woken"
    told = {"error_code": "queue_unavailable", "cause": "Full", "ready": 3, "woken": 2}
    assert told.items() <= vars(line).items()


def test_sweep_opens_a_job_when_a_current_revision_is_not_published(engine: Engine) -> None:
    job_id = engine.job_id("users", things(4))
    engine.worker().handle()
    engine.sql("UPDATE specs SET published_revision = NULL, published_model_id = NULL")

    assert _sweep(engine).gaps == 1
    assert _sweep(engine).gaps == 0

    (newest,) = engine.sql("SELECT id, kind FROM jobs ORDER BY id DESC LIMIT 1")
    assert newest["id"] != job_id
    assert newest["kind"] == "reconciler"


def test_sweep_leaves_a_spec_alone_when_its_job_was_cancelled(engine: Engine) -> None:
    job_id = engine.job_id("users", things(4))
    engine.transact(lambda c: enqueue.cancel(c, job_id))

    assert _sweep(engine).gaps == 0


def _published_under(engine: Engine, spec_name: str) -> str:
    (published,) = engine.sql(
        "SELECT m.model FROM specs s JOIN models m ON m.id = s.published_model_id WHERE s.spec_name = %s", spec_name
    )
    return str(published["model"])


def _always_raise(engine: Engine, error: OpdexError) -> None:
    def script(texts: Sequence[str]) -> None:
        raise error

    engine.embedder.script = script


def test_changed_model_reaches_a_spec_when_a_reembed_of_it_was_cancelled(engine: Engine) -> None:
    engine.job_id("users", things(2))
    engine.worker().handle()
    reembed = engine.transact(lambda c: enqueue.reembed(c, CATALOG, "users")).job_id
    engine.transact(lambda c: enqueue.cancel(c, reembed))
    assert _sweep(engine).gaps == 0

    engine.embedder.model = "changed"

    assert _sweep(engine).gaps == 1
    assert engine.worker().outcomes() == ["published"]
    assert _published_under(engine, "users") == "changed"


def test_changed_model_reaches_a_spec_when_a_text_of_it_was_rejected_by_the_earlier_one(engine: Engine) -> None:
    engine.job_id("users", things(1))
    _always_raise(engine, TextRejected("no"))
    assert engine.worker().outcomes() == ["failed"]
    assert _sweep(engine).gaps == 0

    engine.embedder.model = "changed"

    assert _sweep(engine).gaps == 1
    assert engine.worker().outcomes() == ["failed"]
    assert _sweep(engine).gaps == 0, "the changed one has rejected it, too"


def test_sweep_opens_no_second_job_when_the_one_for_a_changed_model_is_open_or_cancelled(engine: Engine) -> None:
    engine.job_id("users", things(2))
    engine.worker().handle()
    engine.embedder.model = "changed"
    assert _sweep(engine).gaps == 1
    assert _sweep(engine).gaps == 0

    (opened,) = engine.sql("SELECT id FROM jobs WHERE kind = 'reconciler'")
    engine.transact(lambda c: enqueue.cancel(c, opened["id"]))
    assert _sweep(engine).gaps == 0

    again = engine.transact(lambda c: enqueue.retry(c, opened["id"])).job_id
    engine.transact(lambda c: enqueue.cancel(c, again))
    assert _sweep(engine).gaps == 0


def test_sweep_leaves_a_cancelled_upload_alone_when_the_model_has_changed(engine: Engine) -> None:
    engine.job_id("users", things(2))
    engine.worker().handle()
    again = engine.job_id("users", things(3))
    engine.transact(lambda c: enqueue.cancel(c, again))

    engine.embedder.model = "changed"

    assert _sweep(engine).gaps == 0


def test_parked_spec_is_tried_again_with_longer_delays_when_its_time_comes(engine: Engine) -> None:
    job_id = engine.job_id("users", things(4))

    def refuse(texts: Sequence[str]) -> None:
        raise ProviderRefused

    engine.embedder.script = refuse
    delays = []
    for _ in range(3):
        assert engine.worker().outcomes() == ["failed"]
        (row,) = engine.sql(
            """SELECT id, extract(epoch FROM next_try_at - now())::int AS delay FROM jobs
               WHERE next_try_at IS NOT NULL"""
        )
        delays.append(row["delay"])
        assert _sweep(engine).unparked == 0
        engine.sql("UPDATE jobs SET next_try_at = now() WHERE next_try_at IS NOT NULL")
        assert _sweep(engine).unparked == 1

    assert delays == [600, 1200, 2400]
    assert engine.job(job_id).next_try_at is None


def test_reembed_goes_on_where_it_got_to_when_it_is_tried_again(engine: Engine) -> None:
    engine.job_id("users", things(5))
    engine.worker().handle()
    job_id = engine.transact(lambda c: enqueue.reembed(c, CATALOG, "users")).job_id

    def cancel(texts: Sequence[str]) -> None:
        if len(engine.embedder.calls) == 3:
            wait_until(lambda: engine.job(job_id).embedded_so_far == 1)
            engine.transact(lambda c: enqueue.cancel(c, job_id))

    engine.embedder.calls.clear()
    engine.embedder.calls.extend([[], []])  # the script counts from two
    engine.embedder.script = cancel
    assert engine.worker().outcomes() == ["lease_lost"]
    engine.embedder.calls.clear()

    engine.transact(lambda c: enqueue.retry(c, job_id))
    assert engine.worker().outcomes() == ["published"]

    assert len(engine.embedder.texts) == 4, "what the cancelled job embedded again is not embedded a third time"


def test_retry_is_refused_when_the_job_has_succeeded(engine: Engine) -> None:
    job_id = engine.job_id("users", things(1))
    engine.worker().handle()

    with pytest.raises(JobHasSucceeded):
        engine.transact(lambda c: enqueue.retry(c, job_id))


def test_parked_spec_is_left_alone_when_an_upload_has_published_it(engine: Engine) -> None:
    engine.job_id("users", things(2))
    engine.worker().handle()
    engine.job_id("users", things(3))

    def refuse(texts: Sequence[str]) -> None:
        raise ProviderRefused

    engine.embedder.script = refuse
    assert engine.worker().outcomes() == ["failed"]
    assert engine.upload("users", things(2)).job_id is None

    assert engine.sql("SELECT id FROM jobs WHERE next_try_at IS NOT NULL") == []
    assert engine.status("users").next_try_at is None


def test_upload_and_claim_do_not_deadlock_when_they_meet(engine: Engine) -> None:
    engine.job_id("users", things(4))
    model = engine.transact(lambda c: register_model(c, engine.embedder.identity))
    worker = Database(engine.settings)
    uploads: list[Upload] = []
    thread = threading.Thread(target=lambda: uploads.append(engine.upload("users", things(5))))

    with worker.transaction() as c:
        held = leases.claim(c, engine.embedder.provider, 30.0)
        assert held is not None
        thread.start()
        wait_until(engine.somebody_waits)
        leases.plan_or_publish(c, held, model, held.standing)
    thread.join()
    worker.close()

    assert [upload.job_id for upload in uploads] == [held.job_id]


def test_upload_finds_no_catalog_when_it_is_being_deleted(engine: Engine) -> None:
    engine.upload("users", things(1))
    deleter = Database(engine.settings)
    errors: list[Exception] = []

    def upload() -> None:
        raw = document(things(2))
        try:
            engine.transact(
                lambda c: store_document(
                    c, CATALOG, "others", raw, describe(raw), "upload", None, engine.embedder.identity
                )
            )
        except CatalogNotFound as error:
            errors.append(error)

    thread = threading.Thread(target=upload)
    with deleter.transaction() as c:
        delete_catalog(c, CATALOG)
        thread.start()
        wait_until(engine.somebody_waits)
    thread.join()
    deleter.close()

    assert len(errors) == 1


def test_same_document_makes_no_revision_when_it_names_a_path_in_two_spellings(engine: Engine) -> None:
    raw = json.dumps(
        {
            "openapi": "3.0.3",
            "info": {"title": "Things", "version": "1"},
            "paths": {"/a": {"get": {"summary": "one"}}, "a": {"get": {"summary": "two"}}},
        }
    ).encode()
    engine.upload("other", things(1))
    uploads = [
        engine.transact(
            lambda c: store_document(c, CATALOG, "twice", raw, describe(raw), "upload", None, engine.embedder.identity)
        )
        for _ in range(2)
    ]

    assert [upload.spec.revision for upload in uploads] == [1, 1]
    assert uploads[0].changes.added == uploads[1].changes.unchanged == 2
