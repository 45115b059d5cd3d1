"""The scheduled repair pass: lapsed leases, parked specs, gaps, lost wake-ups; and then retention."""

import time
from dataclasses import dataclass

from opdex.database import Database, load_statements
from opdex.embedding.contract import ModelIdentity
from opdex.embedding.registry import register_model
from opdex.errors import QueueUnavailable
from opdex.jobs.backlog import measure_backlog
from opdex.jobs.enqueue import enqueue
from opdex.jobs.leases import expire_leases
from opdex.jobs.retention import apply_retention
from opdex.jobs.wakeups import WakeUp, WakeUps
from opdex.observability import logger

_SQL = load_statements("opdex.jobs", "sweep.sql")


@dataclass(frozen=True, slots=True)
class Swept:
    """What one pass did."""

    expired: int
    unparked: int
    gaps: int
    woken: int
    forgotten_jobs: int
    forgotten_revisions: int
    forgotten_operations: int
    forgotten_vectors: int


def sweep(
    database: Database,
    wake_ups: WakeUps,
    identity: ModelIdentity,
    *,
    workers: int,
    max_attempts: int,
    retention_days: int,
    seconds: float = 50.0,
) -> Swept:
    """Repair what messages and workers lost, and drop what is old in what is left of ``seconds``.

    Sends at most ``workers`` wake-ups; where the queue is away all else is done. Two passes at once do no harm.
    """
    began = time.monotonic()
    with database.statement() as connection:
        expired = expire_leases(connection, max_attempts)
    unparked = _unpark(database)
    gaps = _close_gaps(database, identity)
    measure_backlog(database)
    woken = _wake(database, wake_ups, identity, workers)
    left = seconds - (time.monotonic() - began)
    forgotten = apply_retention(database, days=retention_days, seconds=left)
    return Swept(
        expired=expired,
        unparked=unparked,
        gaps=gaps,
        woken=woken,
        forgotten_jobs=forgotten.jobs,
        forgotten_revisions=forgotten.revisions,
        forgotten_operations=forgotten.operations,
        forgotten_vectors=forgotten.vectors,
    )


def _unpark(database: Database) -> int:
    with database.transaction() as connection:
        due = connection.execute(_SQL["due_parked"]).fetchall()
    for job in due:
        with database.transaction() as connection:
            # Under the spec's lock: a second sweep, or an upload, may have been here first.
            connection.execute(_SQL["lock_spec"], job)
            if connection.execute(_SQL["still_parked"], job).fetchone():
                enqueue(connection, job["spec_id"], "reconciler", resumes=job["id"])
    return len(due)


def _close_gaps(database: Database, identity: ModelIdentity) -> int:
    with database.transaction() as connection:
        model = register_model(connection, identity)
        gaps = connection.execute(_SQL["gaps"], {"spec_id": None, "model_id": model.id}).fetchall()
    for gap in gaps:
        with database.transaction() as connection:
            connection.execute(_SQL["lock_spec"], gap)
            if connection.execute(_SQL["gaps"], {**gap, "model_id": model.id}).fetchone():
                enqueue(connection, gap["spec_id"], "reconciler", model_id=model.id)
    return len(gaps)


def _wake(database: Database, wake_ups: WakeUps, identity: ModelIdentity, workers: int) -> int:
    with database.transaction() as connection:
        ready = connection.execute(_SQL["ready_jobs"], {"limit": workers, "provider": identity.provider}).fetchall()
    woken = 0
    try:
        for job in ready:
            wake_ups.send(WakeUp(**job))
            woken += 1
    except QueueUnavailable as error:
        # Nothing else of a pass needs the queue, and the next one sends again.
        cause = error.details.get("cause")
        logger.error("workers not woken", error_code=error.code, cause=cause, ready=len(ready), woken=woken)
    return woken
