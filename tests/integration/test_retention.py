"""What retention drops and what it keeps, also while uploads and workers are at it."""

import threading
from collections.abc import Iterable, Sequence

import pytest

from functions.sweep import handler as sweep_function
from opdex.catalog.store import delete_catalog, delete_spec
from opdex.catalog.upload import store_document
from opdex.database import Database
from opdex.errors import JobNotFound, ProviderRefused
from opdex.jobs import enqueue, retention
from opdex.jobs.retention import Forgotten, apply_retention
from opdex.openapi import describe
from opdex.search import SearchRequest
from opdex.search.searcher import Searcher
from tests.gateway import LambdaContext
from tests.integration.engine import CATALOG, Engine, document, things, wait_until

_NOTHING = Forgotten(jobs=0, revisions=0, operations=0, vectors=0)


def _retain(engine: Engine, seconds: float = 60.0) -> Forgotten:
    return apply_retention(engine.database, days=14, seconds=seconds)


def _index(engine: Engine, spec_name: str, summaries: Iterable[str], catalog_id: str = CATALOG) -> int:
    """Store a document, work until it is published, and return the job's id."""
    job_id = engine.job_id(spec_name, summaries, catalog_id)
    engine.worker().handle()
    assert engine.job(job_id).status == "succeeded"
    return job_id


def _pass_days(engine: Engine, days: int = 15) -> None:
    """Make everything that many days older."""
    engine.sql(f"""
        UPDATE jobs SET
            created_at = created_at - interval '{days} days', completed_at = completed_at - interval '{days} days';
        UPDATE revisions SET created_at = created_at - interval '{days} days';
        UPDATE vectors SET made_at = made_at - interval '{days} days'
    """)


def _count(engine: Engine, table: str) -> int:
    (row,) = engine.sql(f"SELECT count(*) FROM {table}")
    return int(row["count"])


def _published_without_vector(engine: Engine) -> list[dict[str, object]]:
    return engine.sql("""
        SELECT s.spec_name, o.path FROM specs s
        JOIN operations o ON o.spec_id = s.id AND o.revision = s.published_revision
        LEFT JOIN vectors v ON v.model_id = s.published_model_id AND v.text_hash = o.text_hash
        WHERE v.text_hash IS NULL
    """)


def test_job_goes_with_its_events_when_it_is_old_and_a_newer_one_exists(engine: Engine) -> None:
    first = _index(engine, "users", things(2))
    second = _index(engine, "users", things(3))
    _pass_days(engine)

    assert _retain(engine).jobs == 1

    with pytest.raises(JobNotFound):
        engine.job(first)
    assert engine.events(second)[-1] == "published"
    assert engine.sql("SELECT id FROM job_events WHERE job_id = %s", first) == []


def test_job_stays_when_it_is_young(engine: Engine) -> None:
    _index(engine, "users", things(2))
    _pass_days(engine, 10)
    _index(engine, "users", things(3))
    _pass_days(engine, 3)
    _index(engine, "users", things(4))

    assert _retain(engine) == _NOTHING


def test_job_stays_when_it_is_the_newest_of_its_spec_however_it_ended(engine: Engine) -> None:
    _index(engine, "succeeded", things(1, "a"))
    cancelled = engine.job_id("cancelled", things(1, "b"))
    engine.transact(lambda c: enqueue.cancel(c, cancelled))
    engine.job_id("failed", things(1, "c"))

    def refuse(texts: Sequence[str]) -> None:
        raise ProviderRefused

    engine.embedder.script = refuse
    assert engine.worker().outcomes() == ["failed"]
    _pass_days(engine)

    assert _retain(engine).jobs == 0


def test_job_stays_when_it_is_parked(engine: Engine) -> None:
    first = _index(engine, "users", things(2))
    _index(engine, "users", things(3))
    engine.sql("UPDATE jobs SET status = 'failed', next_try_at = now() WHERE id = %s", first)
    _pass_days(engine)

    assert _retain(engine).jobs == 0


def test_job_stays_when_it_is_open_however_long(engine: Engine) -> None:
    job_id = engine.job_id("users", things(2))
    _pass_days(engine, 100)

    assert _retain(engine) == _NOTHING
    assert engine.job(job_id).status == "pending"


def test_jobs_go_when_their_spec_was_deleted_and_they_are_old(engine: Engine) -> None:
    _index(engine, "users", things(2))
    parked = engine.job_id("users", things(3))
    engine.sql("UPDATE jobs SET status = 'failed', completed_at = now(), next_try_at = now() WHERE id = %s", parked)
    engine.transact(lambda c: delete_spec(c, CATALOG, "users"))
    assert _retain(engine).jobs == 0
    _pass_days(engine)

    assert _retain(engine).jobs == 2
    assert _count(engine, "job_events") == 0


def test_all_old_jobs_go_when_they_are_many_and_none_where_there_is_no_time(engine: Engine) -> None:
    newest = _index(engine, "users", things(2))
    engine.sql("""
        INSERT INTO jobs (spec_id, catalog_id, spec_name, kind, status, revision, operation_count, completed_at)
        SELECT spec_id, catalog_id, spec_name, kind, status, revision, operation_count, completed_at
        FROM jobs, generate_series(1, 1000)
    """)
    _pass_days(engine)

    assert _retain(engine, seconds=0) == _NOTHING
    assert _retain(engine).jobs == 1000
    assert engine.sql("SELECT id FROM jobs WHERE id <= %s", newest) == []
    assert _retain(engine) == _NOTHING


def test_revision_goes_with_its_operations_when_it_was_replaced_long_ago(engine: Engine) -> None:
    for count in (2, 3, 4):
        _index(engine, "users", things(count))
    assert _retain(engine) == _NOTHING
    _pass_days(engine)

    assert _retain(engine).revisions == 2

    assert engine.sql("SELECT revision FROM revisions") == [{"revision": 3}]
    assert engine.sql("SELECT DISTINCT revision FROM stored_operations") == [{"revision": 3}]


def test_revision_stays_when_it_was_replaced_lately(engine: Engine) -> None:
    _index(engine, "users", things(2))
    _pass_days(engine, 100)
    _index(engine, "users", things(3))

    assert _retain(engine).revisions == 0


def test_revision_stays_when_it_is_published_or_an_open_jobs(engine: Engine) -> None:
    _index(engine, "users", things(2))
    _index(engine, "users", things(3))
    meanwhile: list[int] = []

    def replace_twice_and_retain(texts: Sequence[str]) -> None:
        engine.embedder.script = lambda texts: None
        engine.upload("users", things(6, "newer"))
        engine.upload("users", things(7, "newest"))
        _pass_days(engine)
        _retain(engine)
        meanwhile.extend(row["revision"] for row in engine.sql("SELECT revision FROM revisions ORDER BY revision"))

    engine.job_id("users", things(5, "new"))
    engine.embedder.script = replace_twice_and_retain

    assert engine.worker().outcomes() == ["published"]
    assert meanwhile == [2, 3, 5], "published, its job's, current"
    assert engine.sql("SELECT published_revision FROM specs") == [{"published_revision": 5}]
    assert _retain(engine).revisions == 2


def test_vectors_go_when_no_stored_revision_has_their_text(engine: Engine) -> None:
    _index(engine, "users", ["shared", "only here"])
    _index(engine, "others", ["shared", "only there"])
    engine.transact(lambda c: delete_spec(c, CATALOG, "users"))
    assert _retain(engine).vectors == 0, "a young vector may be of use again"
    _pass_days(engine)

    assert _retain(engine).vectors == 1

    assert _count(engine, "vectors") == 2
    assert _published_without_vector(engine) == []


def test_vectors_go_when_their_revision_went(engine: Engine) -> None:
    _index(engine, "users", ["kept", "dropped"])
    _index(engine, "users", ["kept", "added"])
    _pass_days(engine)

    assert _retain(engine) == Forgotten(jobs=1, revisions=1, operations=2, vectors=1)

    assert _published_without_vector(engine) == []
    searcher = Searcher(engine.database, lambda: engine.embedder, cache_bytes=1_000_000)
    answer = searcher.search(SearchRequest(q="added", ranking="semantic"))
    assert {operation.summary for operation in answer.operations} == {"kept", "added"}


def test_all_vectors_go_when_their_catalog_was_deleted_and_they_are_many(engine: Engine) -> None:
    _index(engine, "users", things(3))
    _index(engine, "others", things(3, "other"), "other-catalog")
    engine.sql("""
        INSERT INTO vectors (model_id, text_hash, embedding)
        SELECT model_id, sha256(n::text::bytea), embedding
        FROM (SELECT * FROM vectors LIMIT 1) made, generate_series(1, 3500) AS n
    """)
    engine.transact(lambda c: delete_catalog(c, "other-catalog"))
    _pass_days(engine)

    assert _retain(engine).vectors == 3503
    assert _count(engine, "vectors") == 3
    assert _published_without_vector(engine) == []


def test_vectors_stay_when_an_upload_that_publishes_with_them_has_not_committed(
    engine: Engine, other: Database
) -> None:
    _index(engine, "users", things(3))
    engine.transact(lambda c: delete_spec(c, CATALOG, "users"))
    _pass_days(engine)
    raw = document(things(3))

    with other.transaction() as c:
        upload = store_document(c, CATALOG, "again", raw, describe(raw), "upload", None, engine.embedder.identity)
        assert upload.job_id is None, "published with the upload"
        assert _retain(engine).vectors == 0

    assert _retain(engine).vectors == 0
    assert _published_without_vector(engine) == []
    assert _count(engine, "vectors") == 3


def test_upload_opens_a_job_when_its_vectors_are_just_being_dropped(engine: Engine, other: Database) -> None:
    _index(engine, "users", things(3))
    engine.transact(lambda c: delete_spec(c, CATALOG, "users"))
    assert _retain(engine) == Forgotten(jobs=0, revisions=0, operations=3, vectors=0)
    _pass_days(engine)
    uploaded: list[int | None] = []
    upload = threading.Thread(target=lambda: uploaded.append(engine.upload("again", things(3)).job_id))
    statements = retention._SQL
    with other.transaction() as c:
        assert c.execute(statements["shut_uploads_out"]).fetchone() == {"is_shut": True}
        upload.start()
        wait_until(engine.somebody_waits)
        hashes = [row["text_hash"] for row in c.execute("SELECT text_hash FROM vectors").fetchall()]
        values = {"model_id": 1, "text_hashes": hashes, "days": 14}
        assert c.execute(statements["forget_vectors"], values).rowcount == 3
    upload.join()

    (job_id,) = uploaded
    assert job_id is not None
    assert engine.worker().outcomes() == ["published"]
    assert _published_without_vector(engine) == []


def test_vectors_stay_when_a_running_job_counts_on_them(engine: Engine) -> None:
    _index(engine, "users", things(3))
    engine.transact(lambda c: delete_spec(c, CATALOG, "users"))
    _pass_days(engine)
    engine.job_id("again", [*things(3), "one more"])
    dropped: list[int] = []
    engine.embedder.script = lambda texts: dropped.append(_retain(engine).vectors)
    engine.embedder.calls.clear()

    assert engine.worker().outcomes() == ["published"]

    assert dropped == [0]
    assert len(engine.embedder.texts) == 1, "the others were there"
    assert _published_without_vector(engine) == []


def test_each_row_goes_once_when_two_passes_meet(engine: Engine, other: Database) -> None:
    _index(engine, "users", things(2))
    engine.sql("""
        INSERT INTO jobs (spec_id, catalog_id, spec_name, kind, status, revision, operation_count, completed_at)
        SELECT spec_id, catalog_id, spec_name, kind, status, revision, operation_count, completed_at
        FROM jobs, generate_series(1, 3000)
    """)
    _pass_days(engine)
    passes: list[Forgotten] = []
    second = threading.Thread(target=lambda: passes.append(apply_retention(other, days=14, seconds=60.0)))
    second.start()
    passes.append(_retain(engine))
    second.join()
    passes.append(_retain(engine))

    assert sum(forgotten.jobs for forgotten in passes) == 3000
    assert _count(engine, "jobs") == 1


def test_locked_rows_stay_until_another_pass_when_somebody_holds_them(engine: Engine, other: Database) -> None:
    _index(engine, "users", things(2))
    _index(engine, "users", things(3, "other"))
    _pass_days(engine)

    with other.transaction() as c:
        c.execute("SELECT id FROM jobs FOR UPDATE")
        c.execute("SELECT revision FROM revisions FOR UPDATE")
        assert _retain(engine) == _NOTHING

    assert _retain(engine) == Forgotten(jobs=1, revisions=1, operations=2, vectors=2)


@pytest.mark.parametrize(("days", "dropped"), [(14, 1), (20, 0)])
def test_sweep_function_drops_what_is_older_than_its_setting_when_it_runs(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, days: int, dropped: int
) -> None:
    _index(engine, "users", things(2))
    _index(engine, "users", things(3))
    engine.sql("UPDATE models SET provider = 'ollama', model = 'any'")
    _pass_days(engine)
    assert engine.settings.database_url is not None
    environment = {
        "DATABASE_URL": engine.settings.database_url.get_secret_value(),
        "EMBED_QUEUE_URL": "https://queue.test",
        "EMBEDDING_PROVIDER": "ollama",
        "EMBEDDING_MODEL": "any",
        "EMBEDDING_URL": "http://127.0.0.1:1",
        "RETENTION_DAYS": str(days),
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    sweep_function._reach.cache_clear()

    swept = sweep_function.handler({}, LambdaContext())
    sweep_function._reach()[1].close()

    assert swept["forgotten_jobs"] == dropped
    assert swept["forgotten_revisions"] == dropped
