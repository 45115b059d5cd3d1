"""No statement of the job engine reads more of a table because the table has grown.

Each is explained as it is run, by the product's own functions, among a thousand specs and fifty thousand jobs.
"""

from collections.abc import Iterator
from importlib.resources import files
from itertools import product
from typing import Any, get_args

import psycopg
import pytest
from psycopg.rows import DictRow

from opdex.catalog.store import delete_catalog, delete_spec
from opdex.database import Connection, Database, load_statements
from opdex.embedding import ModelIdentity
from opdex.jobs import enqueue, queries
from opdex.jobs.models import JobStatus
from opdex.jobs.sweep import sweep
from tests.integration.engine import Engine, things
from tests.scale import MODEL, fill

# A page and a batch are smaller; a catalog has five thousand jobs here.
_MOST_ROWS = 1000
_GROWING = {"jobs", "job_events", "specs", "revisions", "stored_operations", "vectors"}
# Their entries are few, so they may be read whole.
_FEW_ENTRIES = {"jobs_ready", "jobs_running", "jobs_parked", "jobs_one_open_per_spec"}
# The sweep looks at each spec once a pass, in the order of their ids.
_WALKS = {("gaps", "specs_pkey")}
_STATEMENTS = {
    text: name
    for file in sorted(entry.name for entry in files("opdex.jobs").iterdir() if entry.name.endswith(".sql"))
    for name, text in load_statements("opdex.jobs", file).items()
}


class _Explaining(psycopg.Connection[DictRow]):
    """Runs each statement a first time under EXPLAIN, and undoes that; keeps what is wrong with the plan."""

    faults: dict[str, str]

    def execute(self, query: Any, params: Any = None, **options: Any) -> psycopg.Cursor[DictRow]:
        if name := _STATEMENTS.get(query):
            with self.transaction(force_rollback=True):
                row = super().execute("EXPLAIN (ANALYZE, FORMAT JSON) " + query, params).fetchone()
            assert row is not None
            self.faults.setdefault(name, "")
            self.faults[name] += "".join(_faults(name, row["QUERY PLAN"][0]["Plan"]))
        return super().execute(query, params, **options)


def _faults(name: str, node: dict[str, Any]) -> Iterator[str]:
    table, index = node.get("Relation Name"), node.get("Index Name")
    if table in _GROWING and node["Node Type"] != "ModifyTable":
        rows = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        if node["Node Type"] == "Seq Scan":
            yield f"all of {table}; "
        elif (name, index) in _WALKS or index in _FEW_ENTRIES:
            pass
        elif index is not None and "Index Cond" not in node:
            yield f"all of {index}; "
        elif rows > _MOST_ROWS:
            yield f"{rows:g} rows of {table}; "
    for child in node.get("Plans", ()):
        yield from _faults(name, child)


@pytest.fixture
def faults(database_url: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What is wrong with the plan of each statement that was run, by its name; the tables are full."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        fill(connection, specs=1000, jobs=50_000, days=30)
    faults: dict[str, str] = {}
    connect = Database.connect

    def explaining(database: Database) -> Connection:
        connection = connect(database)
        connection.__class__ = _Explaining
        connection.faults = faults  # type: ignore[attr-defined]
        return connection

    monkeypatch.setattr(Database, "connect", explaining)
    return faults


def test_status_queries_use_indexes_when_jobs_are_many(faults: dict[str, str], engine: Engine) -> None:
    engine.transact(lambda c: delete_catalog(c, "catalog-9"))
    faults.clear()
    specs, limits = (None, "spec-501", "no-such-spec"), (1, 101)
    statuses = (None, *get_args(JobStatus.__value__))
    with engine.database.transaction() as c:
        for spec, limit, after in product(specs, limits, (None, "spec-501")):
            queries.embedding_status(c, "catalog-5", spec, limit, after)
        for status, spec, limit, before in product(statuses, specs, limits, (None, 25_000, 1)):
            queries.list_jobs(c, "catalog-5", status, spec, limit, before)
        queries.embedding_health(c, "catalog-5")
        queries.get_job(c, engine.sql("SELECT max(id) AS id FROM jobs")[0]["id"])

    assert faults == dict.fromkeys(load_statements("opdex.jobs", "queries.sql"), "")


def test_sweep_and_retention_use_indexes_when_jobs_are_many(faults: dict[str, str], engine: Engine) -> None:
    engine.sql("UPDATE jobs SET next_try_at = now() WHERE next_try_at IS NOT NULL")
    engine.sql("UPDATE specs SET published_revision = NULL, published_model_id = NULL WHERE spec_name = 'spec-99'")
    engine.sql("UPDATE vectors SET made_at = made_at - interval '15 days'")
    engine.transact(lambda c: delete_spec(c, "catalog-5", "spec-501"))

    swept = sweep(
        engine.database, engine.wake_ups, ModelIdentity("scale", MODEL), workers=8, max_attempts=5, retention_days=14
    )

    assert 0 not in (swept.unparked, swept.gaps, swept.woken, swept.forgotten_jobs, swept.forgotten_vectors)
    for file in ("sweep.sql", "retention.sql", "backlog.sql"):
        assert load_statements("opdex.jobs", file).keys() <= faults.keys()
    assert {name: fault for name, fault in faults.items() if fault} == {}


def test_clients_and_workers_use_indexes_when_jobs_are_many(faults: dict[str, str], engine: Engine) -> None:
    failed, cancelled = (
        engine.sql("SELECT max(id) AS id FROM jobs WHERE status = %s AND next_try_at IS NULL", status)[0]["id"]
        for status in ("failed", "cancelled")
    )
    engine.job_id("users", things(9), "catalog-5")
    engine.transact(lambda c: enqueue.retry(c, failed))
    engine.transact(lambda c: enqueue.retry_failed(c, "catalog-5"))
    engine.transact(lambda c: enqueue.reembed(c, "catalog-5", "spec-501"))
    engine.transact(lambda c: enqueue.cancel(c, enqueue.retry(c, cancelled).job_id))
    engine.worker().handle()
    engine.transact(lambda c: delete_spec(c, "catalog-5", "users"))
    engine.transact(lambda c: delete_catalog(c, "catalog-6"))

    assert {name: fault for name, fault in faults.items() if fault} == {}
    cancelled_by = {"cancel", "cancel_of_spec", "cancel_of_catalog"}
    assert {"open", "unpark", *cancelled_by, "expire", "publish_ready", "claim", "publish"} <= faults.keys()


def test_newest_job_of_a_spec_is_found_by_index_when_another_spec_has_most_jobs(
    faults: dict[str, str], engine: Engine
) -> None:
    engine.sql("UPDATE jobs SET spec_id = (SELECT min(id) FROM specs) WHERE completed_at IS NOT NULL AND id > 1000")
    engine.sql("DELETE FROM specs WHERE id > (SELECT min(id) + 9 FROM specs)")
    engine.sql("ANALYZE jobs")
    engine.sql("ANALYZE specs")
    faults.clear()

    with engine.database.transaction() as c:
        queries.embedding_health(c, "catalog-0")
        queries.embedding_status(c, "catalog-0", None, 101, None)
    engine.transact(lambda c: enqueue.retry_failed(c, "catalog-0"))

    assert {"embedding_health", "embedding_status", "failed_specs_of_catalog"} <= faults.keys()
    assert [name for name, fault in faults.items() if "jobs" in fault] == []
