"""What clients do to jobs: open one, upgrade the open one, cancel, try again.

All run in the caller's transaction; the wake-up is the caller's to send after its commit. A spec's row is locked before
its job's row, here as everywhere, so that an upload, a delete and a publication never deadlock.
"""

from typing import Literal

from opdex.database import Connection, load_statements
from opdex.errors import JobHasEnded, JobHasSucceeded, JobIsOpen, JobNotFound, SpecNotFound
from opdex.jobs.events import log_event
from opdex.jobs.models import Enqueued
from opdex.observability import correlation_id, measure

_SQL = load_statements("opdex.jobs", "enqueue.sql")

type Kind = Literal["spec_write", "reconciler", "manual_retry"]


def enqueue(
    connection: Connection,
    spec_id: int,
    kind: Kind,
    *,
    fresh: bool = False,
    resumes: int | None = None,
    model_id: int | None = None,
) -> Enqueued:
    """Open a job for the spec, whose row the caller has locked; an open one is made ready with all its attempts.

    ``fresh`` makes it a re-embed: only vectors made from now on count as reused. ``resumes`` is the ended job that is
    tried again: where it was a re-embed, so is the new one, from where it got to. ``model_id`` is the model that it
    is opened for, where the caller knows it. What the job does from its next claim on is logged under the id of what is
    being worked on now.
    """
    values = {
        "spec_id": spec_id,
        "kind": kind,
        "fresh": fresh,
        "resumes": resumes,
        "model_id": model_id,
        "correlation_id": correlation_id(),
    }
    while True:
        opened = connection.execute(_SQL["open"], values, prepare=True).fetchone()
        if opened is not None:
            unpark(connection, spec_id)
            log_event(connection, opened["id"], "enqueued", kind=kind, reembed=fresh)
            return Enqueued(job_id=opened["id"], created=True)
        renewed = connection.execute(_SQL["renew_open"], values, prepare=True).fetchone()
        if renewed is not None:
            log_event(connection, renewed["id"], "upgraded", reembed=fresh)
            return Enqueued(job_id=renewed["id"], created=False)
        # The open job ended between the two statements: the next round opens a new one.


def unpark(connection: Connection, spec_id: int) -> None:
    """Take a parked spec off the list of those that the sweep tries again."""
    connection.execute(_SQL["unpark"], {"spec_id": spec_id}, prepare=True)


def reembed(connection: Connection, catalog_id: str, spec_name: str) -> Enqueued:
    """Embed all texts of a spec again, changed or not. Raises SpecNotFound."""
    values = {"catalog_id": catalog_id, "spec_name": spec_name}
    spec = connection.execute(_SQL["lock_spec"], values, prepare=True).fetchone()
    if spec is None:
        raise SpecNotFound(f"No spec '{spec_name}' in catalog '{catalog_id}'.")
    return enqueue(connection, spec["id"], "manual_retry", fresh=True)


def reembed_catalog(connection: Connection, catalog_id: str) -> list[Enqueued]:
    """Embed all texts of all specs of a catalog again."""
    specs = connection.execute(_SQL["lock_specs_of_catalog"], {"catalog_id": catalog_id}).fetchall()
    return [enqueue(connection, spec["id"], "manual_retry", fresh=True) for spec in specs]


def cancel(connection: Connection, job_id: int) -> None:
    """Cancel an open job; its worker stops at its next write. Raises JobNotFound, JobHasEnded."""
    if connection.execute(_SQL["cancel"], {"job_id": job_id}).fetchone() is None:
        _require_job(connection, job_id)
        raise JobHasEnded(f"Job {job_id} has ended, so it cannot be cancelled.")
    log_event(connection, job_id, "cancelled")
    measure("JobsCancelled")


def cancel_of_spec(connection: Connection, spec_id: int) -> None:
    """Cancel the open job of a spec that is about to be deleted, if there is one."""
    for job in connection.execute(_SQL["cancel_of_spec"], {"spec_id": spec_id}).fetchall():
        log_event(connection, job["id"], "cancelled", reason="spec deleted")
        measure("JobsCancelled")


def cancel_of_catalog(connection: Connection, catalog_id: str) -> None:
    """Cancel the open jobs of a catalog that is about to be deleted, and whose specs' rows the caller has locked."""
    cancelled = connection.execute(_SQL["cancel_of_catalog"], {"catalog_id": catalog_id}).rowcount
    if cancelled:
        measure("JobsCancelled", cancelled)


def retry(connection: Connection, job_id: int) -> Enqueued:
    """Open a new job for the spec of a failed or cancelled one.

    Raises JobNotFound, JobIsOpen, JobHasSucceeded, SpecNotFound.
    """
    job = _require_job(connection, job_id)
    if job["status"] == "succeeded":
        raise JobHasSucceeded(f"Job {job_id} has succeeded; a re-embed embeds its spec once more.")
    if job["status"] not in ("failed", "cancelled"):
        raise JobIsOpen(f"Job {job_id} is {job['status']}; only a failed or cancelled one can be tried again.")
    locked = connection.execute(_SQL["lock_spec_by_id"], {"spec_id": job["spec_id"]}, prepare=True).fetchone()
    if locked is None:
        raise SpecNotFound(f"The spec of job {job_id} has been deleted.")
    return enqueue(connection, locked["id"], "manual_retry", resumes=job_id)


def retry_failed(connection: Connection, catalog_id: str) -> list[Enqueued]:
    """Open a new job for each spec of a catalog whose newest job failed."""
    connection.execute(_SQL["lock_specs_of_catalog"], {"catalog_id": catalog_id})
    specs = connection.execute(_SQL["failed_specs_of_catalog"], {"catalog_id": catalog_id}).fetchall()
    return [enqueue(connection, spec["spec_id"], "manual_retry", resumes=spec["job_id"]) for spec in specs]


def _require_job(connection: Connection, job_id: int) -> dict[str, object]:
    job = connection.execute(_SQL["spec_of_job"], {"job_id": job_id}).fetchone()
    if job is None:
        raise JobNotFound(f"No embedding job {job_id}.")
    return job
