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

_RUN = """
UPDATE jobs SET status = 'running', lease_token = gen_random_uuid(), lease_expires_at = now() + interval '30 s'
WHERE id = %(job_id)s AND status = 'pending'
"""
_SUCCEED = """
UPDATE jobs SET status = 'succeeded', lease_expires_at = NULL, completed_at = now()
WHERE id = %(job_id)s AND status = 'running'
"""

type Share = tuple[int, int]  # which of how many processes
type WorkOff = Callable[[], int]  # returns how many jobs it did
type Drain = Callable[[EmbedSettings, Database, Share], WorkOff]


def add_jobs(uploads: Uploads, named: str, count: int) -> None:
    """Open that many jobs without operations. A real upload publishes such a document itself, so they are made here."""
    with uploads.database.transaction() as c:
        c.execute(_ADD_JOBS, {"catalog": CATALOG, "named": named, "count": count})
    with uploads.database.statement() as c:
        c.execute("VACUUM (ANALYZE) jobs, job_events, specs")


def by_the_store(settings: EmbedSettings, database: Database, share: Share) -> WorkOff:
    """Claim and finish one job after another, a transaction each, and nothing else."""
    with database.statement() as c:
        model = register_model(c, IDENTITY)

    def work_off() -> int:
        jobs = 0
        while True:
            with database.statement() as c:
                held = leases.claim(c, IDENTITY.provider, _LEASE_SECONDS)
            if held is None:
                return jobs
            with database.statement() as c:
                assert leases.plan_or_publish(c, held, model, held.standing) is None
            jobs += 1

    return work_off


def by_key(settings: EmbedSettings, database: Database, share: Share) -> WorkOff:
    """Mark each job of a share running and then succeeded, with the two least statements that can do it.

    No queue that claims a job and finishes it in two commits can be faster than this: it does not even look for a job.
    """
    with database.statement() as c:
        ids = [row["id"] for row in c.execute("SELECT id FROM jobs WHERE status = 'pending' ORDER BY id").fetchall()]
    number, of = share
    mine = ids[number::of]

    def work_off() -> int:
        for job_id in mine:
            for statement in (_RUN, _SUCCEED):
                with database.statement() as c:
                    c.execute(statement, {"job_id": job_id}, prepare=True)
        return len(mine)

    return work_off


class _NoQueue:
    def send(self, wake_up: WakeUp, delay_seconds: float = 0) -> None:
        pass


def by_the_worker(settings: EmbedSettings, database: Database, share: Share) -> WorkOff:
    """Handle a wake-up as the function does, which goes on until nothing is ready."""
    logger.setLevel("CRITICAL")
    worker = Worker(settings, database, make_embedder(settings), _NoQueue())

    def work_off() -> int:
        results = worker.handle(WakeUp(job_id=0), Deadline(lambda: 600_000))
        assert {result.outcome for result in results} <= {"published"}
        return len(results)

    return work_off


def jobs_a_second(drain: Drain, database_url: str, connections: int, jobs: int) -> float:
    """Let so many processes, with a connection each, work off the jobs that are ready; return the jobs a second."""
    barrier = _PROCESSES.Barrier(connections)
    spans: Any = _PROCESSES.SimpleQueue()
    processes = [
        _PROCESSES.Process(target=_work, args=(drain, database_url, (number, connections), barrier, spans), daemon=True)
        for number in range(connections)
    ]
    for process in processes:
        process.start()
    began, ended, done = zip(*(spans.get() for _ in processes), strict=True)
    for process in processes:
        process.join()
    assert sum(done) == jobs
    return float(jobs / (max(ended) - min(began)))


def _work(drain: Drain, database_url: str, share: Share, barrier: Barrier, spans: Any) -> None:
    settings = EmbedSettings(
        database_url=SecretStr(database_url), embed_queue_url="unused", embedding_provider="ollama"
    )
    database = Database(settings)
    work_off = drain(settings, database, share)
    barrier.wait()
    began = time.monotonic()
    done = work_off()
    spans.put((began, time.monotonic(), done))
    database.close()
