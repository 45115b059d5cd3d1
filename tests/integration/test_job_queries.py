"""What clients read of jobs and ask for, and what they are told where it cannot be had."""

import pytest

from opdex.catalog.store import create_catalog, delete_spec
from opdex.errors import CatalogNotFound, JobHasEnded, JobHasSucceeded, JobIsOpen, JobNotFound, SpecNotFound
from opdex.jobs import enqueue, queries, retention
from opdex.jobs.models import EmbeddingHealth, Job
from opdex.jobs.retention import apply_retention
from tests.integration.engine import CATALOG, Engine, things


def _ids(jobs: list[Job]) -> list[int]:
    return [job.id for job in jobs]


def _fail(engine: Engine, job_id: int) -> None:
    engine.sql("UPDATE jobs SET status = 'failed', lease_expires_at = NULL, completed_at = now() WHERE id = %s", job_id)


def test_jobs_are_listed_newest_first_when_a_catalog_has_several(engine: Engine) -> None:
    first, second = engine.job_id("one", things(1)), engine.job_id("two", things(1, "other"))
    engine.job_id("elsewhere", things(1, "else"), "other-catalog")
    engine.transact(lambda c: enqueue.cancel(c, first))
    third = engine.transact(lambda c: enqueue.retry(c, first)).job_id

    def listed(**asked: object) -> list[int]:
        return _ids(engine.transact(lambda c: queries.list_jobs(c, CATALOG, **asked)))  # type: ignore[arg-type]

    assert listed() == [third, second, first]
    assert listed(limit=2) == [third, second]
    assert listed(before=third) == [second, first]
    assert listed(status="cancelled") == [first]
    assert listed(spec_name="one") == [third, first]
    assert listed(spec_name="one", status="pending", before=third) == []


def test_nothing_is_listed_when_a_catalog_is_empty_and_an_error_is_raised_when_it_is_none(engine: Engine) -> None:
    engine.transact(lambda c: create_catalog(c, id=CATALOG, name="Empty", version="1"))

    assert engine.transact(lambda c: queries.list_jobs(c, CATALOG)) == []
    assert engine.transact(lambda c: queries.embedding_status(c, CATALOG)) == []
    for ask in (queries.list_jobs, queries.embedding_status):
        with pytest.raises(CatalogNotFound) as refused:
            engine.transact(lambda c, ask=ask: ask(c, "none"))  # type: ignore[misc]
        assert refused.value.message == "No catalog 'none'."


def test_a_hundred_are_shown_when_nobody_says_how_many(engine: Engine) -> None:
    engine.job_id("users", things(1))
    engine.sql("""
        INSERT INTO jobs (spec_id, catalog_id, spec_name, kind, revision, operation_count, status, completed_at)
        SELECT spec_id, catalog_id, spec_name, kind, revision, operation_count, 'cancelled', now()
        FROM jobs, generate_series(1, 100)
    """)

    assert len(engine.transact(lambda c: queries.list_jobs(c, CATALOG))) == 100


def test_status_of_a_hundred_specs_is_shown_when_nobody_says_how_many(engine: Engine) -> None:
    engine.job_id("users", things(1))
    engine.sql("""
        WITH more AS (
            INSERT INTO specs (catalog_id, spec_name, source_kind, current_revision)
            SELECT catalog_id, 'more-' || number, source_kind, 1 FROM specs, generate_series(1, 100) AS number
            RETURNING id
        )
        INSERT INTO revisions (spec_id, revision, content_sha256, content, bytes, openapi_version, operation_count)
        SELECT more.id, 1, content_sha256, content, bytes, openapi_version, 0 FROM more, revisions
    """)

    assert len(engine.transact(lambda c: queries.embedding_status(c, CATALOG))) == 100


def test_counter_is_shown_when_the_job_runs_and_not_before_or_after(engine: Engine) -> None:
    job_id = engine.job_id("users", things(12))
    seen: list[int | None] = []

    engine.embedder.script = lambda texts: seen.append(engine.job(job_id).embedded_so_far)
    assert engine.job(job_id).embedded_so_far is None
    engine.worker().handle()

    assert seen[0] == 0
    assert engine.job(job_id).embedded_so_far is None


def test_all_specs_are_embedded_again_when_a_catalog_is(engine: Engine) -> None:
    for name in ("one", "two"):
        engine.job_id(name, things(2, name))
    engine.worker().handle()

    opened = engine.transact(lambda c: enqueue.reembed_catalog(c, CATALOG))

    assert [(job.created, engine.job(job.job_id).kind) for job in opened] == [(True, "manual_retry")] * 2
    assert engine.worker().outcomes() == ["published", "published"]
    assert len(engine.embedder.texts) == 8
    again = engine.transact(lambda c: enqueue.reembed_catalog(c, CATALOG))
    assert {engine.job(job.job_id).events[0].detail["reembed"] for job in again} == {True}


def test_failed_specs_are_tried_again_when_a_client_asks_for_all_of_them(engine: Engine) -> None:
    failed = engine.job_id("failed", things(2))
    _fail(engine, failed)
    waiting = engine.job_id("waiting", things(2, "other"))

    (opened,) = engine.transact(lambda c: enqueue.retry_failed(c, CATALOG))

    job = engine.job(opened.job_id)
    assert (opened.created, job.spec_name, job.kind) == (True, "failed", "manual_retry")
    assert engine.job(waiting).status == "pending"
    assert engine.transact(lambda c: enqueue.retry_failed(c, CATALOG)) == []


def test_reembed_stays_one_when_its_failed_job_is_tried_again_with_all(engine: Engine) -> None:
    engine.job_id("users", things(2))
    engine.worker().handle()
    reembed = engine.transact(lambda c: enqueue.reembed(c, CATALOG, "users"))
    _fail(engine, reembed.job_id)

    engine.transact(lambda c: enqueue.retry_failed(c, CATALOG))

    assert engine.worker().outcomes() == ["published"]
    assert len(engine.embedder.texts) == 4


def test_failed_job_is_tried_again_when_a_client_names_it(engine: Engine) -> None:
    job_id = engine.job_id("users", things(2))
    _fail(engine, job_id)

    assert engine.transact(lambda c: enqueue.retry(c, job_id)).created


def test_client_is_told_by_name_when_what_it_asks_for_cannot_be(engine: Engine) -> None:
    done, deleted, waiting = (engine.job_id(name, things(1, name)) for name in ("done", "deleted", "waiting"))
    engine.sql("UPDATE jobs SET status = 'succeeded', completed_at = now() WHERE id = %s", done)
    engine.transact(lambda c: delete_spec(c, CATALOG, "deleted"))

    def refusal(error: type[Exception], ask: object, *values: object) -> str:
        with pytest.raises(error) as refused:
            engine.transact(lambda c: ask(c, *values))  # type: ignore[operator]
        return str(refused.value)

    assert refusal(JobHasEnded, enqueue.cancel, done) == f"Job {done} has ended, so it cannot be cancelled."
    assert refusal(JobHasSucceeded, enqueue.retry, done).startswith(f"Job {done} has succeeded; ")
    assert refusal(JobIsOpen, enqueue.retry, waiting).startswith(f"Job {waiting} is pending; ")
    assert refusal(SpecNotFound, enqueue.retry, deleted) == f"The spec of job {deleted} has been deleted."
    assert refusal(JobNotFound, enqueue.retry, 999) == "No embedding job 999."
    assert refusal(JobNotFound, queries.get_job, 999) == "No embedding job 999."
    assert refusal(SpecNotFound, enqueue.reembed, CATALOG, "none") == f"No spec 'none' in catalog '{CATALOG}'."


def test_operations_of_deleted_specs_go_when_it_takes_several_batches_to_find_them(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["a", "b", "c", "d", "e", "f", "g"]
    for name in names:
        engine.job_id(name, things(3, name))
    for name in (names[0], names[-1]):
        engine.transact(lambda c, name=name: delete_spec(c, CATALOG, name))  # type: ignore[misc]
    batches: list[str] = []

    class Noting(dict[str, str]):
        def __getitem__(self, name: str) -> str:
            if name == "operations_after":
                batches.append(name)
            return super().__getitem__(name)

    monkeypatch.setattr(retention, "_SQL", Noting(retention._SQL))
    monkeypatch.setattr(retention, "_OPERATIONS", 3)

    assert apply_retention(engine.database, days=14, seconds=60).operations == 6
    assert len(engine.sql("SELECT path FROM operations")) == 15
    assert len(batches) == 3, "two full ones, and one more"


def test_health_is_all_zero_when_a_catalog_has_no_spec(engine: Engine) -> None:
    engine.transact(lambda c: create_catalog(c, id=CATALOG, name="Empty", version="1"))

    assert engine.transact(lambda c: queries.embedding_health(c, CATALOG)) == EmbeddingHealth(catalog_id=CATALOG)
    with pytest.raises(CatalogNotFound):
        engine.transact(lambda c: queries.embedding_health(c, "none"))


def test_specs_are_counted_by_how_they_stand_when_a_catalog_has_some(engine: Engine) -> None:
    engine.job_id("indexed", things(1))
    engine.worker().handle()
    _fail(engine, engine.job_id("failed", things(1, "failed")))
    for name in ("one", "two"):
        engine.job_id(name, things(1, name))

    assert engine.transact(lambda c: queries.embedding_health(c, CATALOG)) == EmbeddingHealth(
        catalog_id=CATALOG, specs_total=4, specs_indexed=1, specs_pending=2, specs_failed=1
    )
