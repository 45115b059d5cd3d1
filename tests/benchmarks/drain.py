"""Working off jobs without operations: what the job engine alone costs, in processes of their own."""

import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from typing import Any

from pydantic import SecretStr

from opdex.database import Database
from opdex.embedding import make_embedder
from opdex.embedding.registry import register_model
from opdex.indexing.deadline import Deadline
from opdex.indexing.worker import Worker
from opdex.jobs import leases
from opdex.jobs.wakeups import WakeUp
from opdex.observability import logger
from opdex.settings import EmbedSettings
from tests.benchmarks.uploads import CATALOG, IDENTITY, Uploads

_LEASE_SECONDS = 30.0
_PROCESSES = multiprocessing.get_context("spawn")

_ADD_JOBS = """
WITH added AS (
    INSERT INTO specs (catalog_id, spec_name, source_kind, current_revision)
    SELECT %(catalog)s, format('%%s-%%s', %(named)s::text, n), 'upload', 1 FROM generate_series(1, %(count)s) AS n
    RETURNING id, catalog_id, spec_name
), revised AS (
    INSERT INTO revisions (spec_id, revision, content_sha256, content, bytes, openapi_version, operation_count)
    SELECT id, 1, '', '', 0, '3.1.0', 0 FROM added
)
INSERT INTO jobs (spec_id, catalog_id, spec_name, kind, revision, operation_count)
SELECT id, catalog_id, spec_name, 'spec_write', 1, 0 FROM added
"""

type Drain = Callable[[EmbedSettings, Database], int]


def add_jobs(uploads: Uploads, named: str, count: int) -> None:
    """Open that many jobs without operations. A real upload publishes such a document itself, so they are made here."""
    with uploads.database.transaction() as c:
        c.execute(_ADD_JOBS, {"catalog": CATALOG, "named": named, "count": count})


def by_the_store(settings: EmbedSettings, database: Database) -> int:
    """Claim and finish one job after another, a transaction each, and nothing else; return how many."""
    with database.transaction() as c:
        model = register_model(c, IDENTITY)
    jobs = 0
    while True:
        with database.transaction() as c:
            held = leases.claim(c, IDENTITY.provider, _LEASE_SECONDS)
        if held is None:
            return jobs
        with database.transaction() as c:
            assert leases.plan_or_publish(c, held, model) is None
        jobs += 1


class _NoQueue:
    def send(self, wake_up: WakeUp, delay_seconds: float = 0) -> None:
        pass


def by_the_worker(settings: EmbedSettings, database: Database) -> int:
    """Handle a wake-up as the function does, which goes on until nothing is ready; return how many jobs that were."""
    logger.setLevel("CRITICAL")
    worker = Worker(settings, database, make_embedder(settings), _NoQueue())
    results = worker.handle(WakeUp(job_id=0), Deadline(lambda: 600_000))
    assert {result.outcome for result in results} <= {"published"}
    return len(results)


def jobs_a_second(drain: Drain, database_url: str, connections: int, jobs: int) -> float:
    """Let so many processes, with a connection each, work off the jobs that are ready; return the jobs a second."""
    barrier = _PROCESSES.Barrier(connections)
    spans: Any = _PROCESSES.SimpleQueue()
    arguments = (drain, database_url, barrier, spans)
    processes = [_PROCESSES.Process(target=_work, args=arguments, daemon=True) for _ in range(connections)]
    for process in processes:
        process.start()
    began, ended, done = zip(*(spans.get() for _ in processes), strict=True)
    for process in processes:
        process.join()
    assert sum(done) == jobs
    return float(jobs / (max(ended) - min(began)))


def _work(drain: Drain, database_url: str, barrier: Barrier, spans: Any) -> None:
    settings = EmbedSettings(
        database_url=SecretStr(database_url), embed_queue_url="unused", embedding_provider="ollama"
    )
    database = Database(settings)
    with database.transaction() as c:
        c.execute("SELECT 1")
    barrier.wait()
    began = time.monotonic()
    done = drain(settings, database)
    spans.put((began, time.monotonic(), done))
    database.close()
