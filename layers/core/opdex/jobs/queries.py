"""What clients read of jobs. Each function is one indexed query or two, cheap to poll."""

from typing import Any, get_args

from opdex.database import Connection, load_statements
from opdex.errors import CatalogNotFound, JobNotFound
from opdex.jobs.models import EmbeddingHealth, EmbeddingStatus, Job, JobStatus, JobWithEvents

_SQL = load_statements("opdex.jobs", "queries.sql")
_ALL_STATUSES: tuple[JobStatus, ...] = get_args(JobStatus.__value__)
_AFTER_ALL = 2**63 - 1  # no row has a higher id


def embedding_status(
    connection: Connection, catalog_id: str, spec_name: str | None = None, limit: int = 100, after: str | None = None
) -> list[EmbeddingStatus]:
    """Return where the specs of a catalog stand, by name, from the one after ``after``. Raises CatalogNotFound."""
    values = {"catalog_id": catalog_id, "spec_name": spec_name, "limit": limit, "after": after}
    rows = connection.execute(_SQL["embedding_status"], values).fetchall()
    if not rows:
        _require_catalog(connection, catalog_id)
    return [EmbeddingStatus(**row) for row in rows]


def embedding_health(connection: Connection, catalog_id: str) -> EmbeddingHealth:
    """Count a catalog's specs by how they stand. Raises CatalogNotFound."""
    row = connection.execute(_SQL["embedding_health"], {"catalog_id": catalog_id}).fetchone()
    if row is None:
        _require_catalog(connection, catalog_id)
        return EmbeddingHealth(catalog_id=catalog_id)
    return EmbeddingHealth(**row)


def list_jobs(
    connection: Connection,
    catalog_id: str,
    status: JobStatus | None = None,
    spec_name: str | None = None,
    limit: int = 100,
    before: int | None = None,
) -> list[Job]:
    """Return a catalog's jobs, newest first, from the one before ``before``; a deleted spec's too."""
    values = {
        "catalog_id": catalog_id,
        "spec_name": spec_name,
        "statuses": list(_ALL_STATUSES) if status is None else [status],
        "limit": limit,
        "before": _AFTER_ALL if before is None else before,
    }
    statement = _SQL["jobs_of_catalog" if spec_name is None else "jobs_of_spec"]
    rows = connection.execute(statement, values).fetchall()
    if not rows:
        _require_catalog(connection, catalog_id)
    return [Job(**_shown(row)) for row in rows]


def get_job(connection: Connection, job_id: int) -> JobWithEvents:
    """Return a job with its events, oldest first. Raises JobNotFound."""
    row = connection.execute(_SQL["job"], {"job_id": job_id}).fetchone()
    if row is None:
        raise JobNotFound(f"No embedding job {job_id}.")
    events = connection.execute(_SQL["events_of_job"], {"job_id": job_id}).fetchall()
    return JobWithEvents(**_shown(row), events=events)


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    # The counter is left as it was when a slice ends: it tells something only while the job runs.
    return row if row["status"] == "running" else {**row, "embedded_so_far": None}


def _require_catalog(connection: Connection, catalog_id: str) -> None:
    if connection.execute(_SQL["catalog_exists"], {"catalog_id": catalog_id}).fetchone() is None:
        raise CatalogNotFound(f"No catalog '{catalog_id}'.")
