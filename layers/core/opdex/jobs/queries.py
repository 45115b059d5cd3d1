"""What clients read of jobs. Each function is one indexed query or two, cheap to poll."""

from typing import Any

from opdex.database import Connection, load_statements
from opdex.errors import CatalogNotFound, JobNotFound
from opdex.jobs.models import EmbeddingHealth, EmbeddingStatus, Job, JobStatus, JobWithEvents

_SQL = load_statements("opdex.jobs", "queries.sql")


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
    rows = _jobs(connection, catalog_id=catalog_id, status=status, spec_name=spec_name, limit=limit, before=before)
    if not rows:
        _require_catalog(connection, catalog_id)
    return [Job(**row) for row in rows]


def get_job(connection: Connection, job_id: int) -> JobWithEvents:
    """Return a job with its events, oldest first. Raises JobNotFound."""
    rows = _jobs(connection, job_id=job_id, limit=1)
    if not rows:
        raise JobNotFound(f"No embedding job {job_id}.")
    return JobWithEvents(**rows[0], events=connection.execute(_SQL["events_of_job"], {"job_id": job_id}).fetchall())


def _jobs(connection: Connection, **wanted: Any) -> list[dict[str, Any]]:
    anything = dict.fromkeys(("job_id", "catalog_id", "status", "spec_name", "before"))
    return connection.execute(_SQL["jobs"], {**anything, **wanted}).fetchall()


def _require_catalog(connection: Connection, catalog_id: str) -> None:
    if connection.execute(_SQL["catalog_exists"], {"catalog_id": catalog_id}).fetchone() is None:
        raise CatalogNotFound(f"No catalog '{catalog_id}'.")
