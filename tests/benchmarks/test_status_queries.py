"""What reading and repairing costs in SQL among 10,000 specs, 100 a catalog, and 1,000,000 finished jobs."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from statistics import median
from typing import Any, LiteralString

import psycopg
import pytest
from pydantic import SecretStr

from opdex.database import Connection, load_statements
from opdex.embedding import ModelIdentity
from opdex.jobs import queries
from opdex.jobs.models import JobStatus
from opdex.jobs.sweep import sweep
from opdex.settings import DatabaseSettings
from tests.benchmarks.explained import ExplainedDatabase
from tests.benchmarks.figures import Record
from tests.integration.engine import RememberedWakeUps
from tests.scale import MODEL, fill

_MOST_MILLISECONDS = 10.0
_RUNS = 6  # the median of them: the first may read from the disk
_JOBS = 1_000_000
# What the HTTP routes let a client choose: filters that find much, little and nothing, and a page's size and begin.
_CATALOG, _SPECS = "catalog-50", (None, "spec-5050", "no-such-spec")
_STATUSES: tuple[JobStatus | None, ...] = (None, "pending", "running", "succeeded", "failed", "cancelled")
_LIMITS = (2, 501)
_AFTER, _BEFORE = (None, "spec-5050", "zzz"), (None, _JOBS // 2, 1)

_SOMETHING_TO_REPAIR: tuple[LiteralString, ...] = (
    # A parked job is due.
    "UPDATE jobs SET next_try_at = now() WHERE id = (SELECT max(id) FROM jobs WHERE next_try_at IS NOT NULL)",
    # A gap.
    """
    UPDATE specs SET published_revision = NULL, published_model_id = NULL
    WHERE id = (SELECT spec_id FROM jobs WHERE id = (SELECT max(id) FROM jobs WHERE status = 'succeeded'))
    """,
    # Jobs, revisions and vectors that are old enough to go.
    """
    UPDATE jobs SET created_at = created_at - interval '2 days', completed_at = completed_at - interval '2 days'
    WHERE id <= 2000
    """,
    "UPDATE revisions SET created_at = now() - interval '15 days' WHERE spec_id <= 2000",
    """
    INSERT INTO vectors (model_id, text_hash, embedding, made_at)
    SELECT m.id, sha256(n::text::bytea), '[1,0,0,0]', now() - interval '15 days'
    FROM models m, generate_series(1, 2000) AS n
    """,
)

type Milliseconds = dict[str, list[float]]  # by statement, one for each combination of filters


@pytest.mark.timeout(600)
def test_statements(database_url: str, record: Record) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        fill(connection, jobs=_JOBS)
        _record(record, "the slowest status query among 1,000,000 jobs", _reading(database_url, connection))
        _record(record, "the slowest statement of a sweep among 1,000,000 jobs", _sweeping(database_url, connection))


def _reading(database_url: str, connection: psycopg.Connection) -> Milliseconds:
    job_id = _job_of_many_events(connection)
    database = ExplainedDatabase(_settings(database_url), "opdex.jobs", ["queries.sql"])
    taken: Milliseconds = defaultdict(list)
    for act in _reads(job_id):
        for name, milliseconds in _milliseconds(database, act).items():
            taken[name].append(milliseconds)
    database.close()
    assert taken.keys() == load_statements("opdex.jobs", "queries.sql").keys()
    return taken


def _sweeping(database_url: str, connection: psycopg.Connection) -> Milliseconds:
    _leave_something_to_repair(connection)
    files = ["sweep.sql", "retention.sql", "backlog.sql"]
    database = ExplainedDatabase(_settings(database_url), "opdex.jobs", files)
    identity = ModelIdentity("scale", MODEL)
    for _ in range(_RUNS):
        sweep(database, RememberedWakeUps(), identity, workers=8, max_attempts=5, retention_days=14)
    database.close()
    named = {name for file in files for name in load_statements("opdex.jobs", file)}
    assert database.milliseconds.keys() == named
    return {name: [median(milliseconds)] for name, milliseconds in database.milliseconds.items()}


def _settings(database_url: str) -> DatabaseSettings:
    return DatabaseSettings(database_url=SecretStr(database_url))


def _reads(job_id: int) -> Iterator[Callable[[Connection], object]]:
    """Yield each read that the HTTP routes offer, with each combination of what a client may choose."""
    for spec, limit, after in product(_SPECS, _LIMITS, _AFTER):
        yield partial(queries.embedding_status, catalog_id=_CATALOG, spec_name=spec, limit=limit, after=after)
    for status, spec, limit, before in product(_STATUSES, _SPECS, _LIMITS, _BEFORE):
        yield partial(queries.list_jobs, catalog_id=_CATALOG, status=status, spec_name=spec, limit=limit, before=before)
    yield partial(queries.embedding_health, catalog_id=_CATALOG)
    yield partial(queries.get_job, job_id=job_id)


def _milliseconds(database: ExplainedDatabase, act: Callable[[Connection], object]) -> dict[str, float]:
    database.milliseconds.clear()
    for _ in range(_RUNS):
        with database.transaction() as c:
            act(c)
    return {name: median(taken) for name, taken in database.milliseconds.items()}


def _record(record: Record, figure: str, taken: Milliseconds) -> None:
    statements: dict[str, Any] = {
        name: {"filters": len(values), "median": round(median(values), 3), "worst": round(max(values), 3)}
        for name, values in taken.items()
    }
    slowest = max(statement["worst"] for statement in statements.values())
    record(figure, slowest, "ms", at_most=_MOST_MILLISECONDS, statements=statements)


def _job_of_many_events(connection: psycopg.Connection) -> int:
    """Return a job of which more happened than an answer tells."""
    row = connection.execute("SELECT max(id) FROM jobs").fetchone()
    assert row is not None
    connection.execute(
        "INSERT INTO job_events (job_id, event) SELECT %s, 'chunk' FROM generate_series(1, 5000)", [row[0]]
    )
    return int(row[0])


def _leave_something_to_repair(connection: psycopg.Connection) -> None:
    for statement in _SOMETHING_TO_REPAIR:
        connection.execute(statement)
