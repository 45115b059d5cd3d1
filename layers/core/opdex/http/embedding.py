"""Embedding: where specs and jobs stand, and what can be done to a job."""

from typing import Annotated, Literal

from aws_lambda_powertools.event_handler.openapi.params import Query

from opdex.catalog.models import SPEC_NAME_PATTERN
from opdex.catalog.store import get_catalog
from opdex.errors import (
    CatalogNotFound,
    JobHasEnded,
    JobHasSucceeded,
    JobIsOpen,
    JobNotFound,
    SpecNotFound,
)
from opdex.http.answers import (
    AllQueued,
    Cancelled,
    EmbeddingStatusPage,
    JobPage,
)
from opdex.http.audit_store import Subject
from opdex.http.context import ApiContext
from opdex.http.cursors import decode_cursor, id_position, name_position, page
from opdex.http.requests import CatalogId, Cursor, JobId, Limit
from opdex.http.routing import Routes
from opdex.jobs import enqueue, queries
from opdex.jobs.models import EmbeddingHealth, Enqueued, JobWithEvents

OneSpec = Annotated[str | None, Query(pattern=SPEC_NAME_PATTERN, description="Only this spec.")]
OneStatus = Annotated[
    Literal["pending", "running", "succeeded", "failed", "cancelled"] | None, Query(description="Only such jobs.")
]


def embedding_routes(context: ApiContext) -> Routes:
    """Return the routes on embedding status and jobs."""
    routes = Routes("Embedding")
    transaction = context.database.transaction

    @routes.endpoint(
        "GET",
        "/api-catalogs/<catalog_id>/embedding-status",
        role="reader",
        answers={200: "Where each spec stands, by name."},
        errors=(CatalogNotFound, SpecNotFound),
    )
    def get_embedding_status(
        catalog_id: CatalogId, spec: OneSpec = None, limit: Limit = 100, cursor: Cursor = None
    ) -> EmbeddingStatusPage:
        """Tell where the specs of a catalog stand; cheap to poll.

        `embedded_so_far` is there exactly while the spec's job is running.
        """
        after = decode_cursor(cursor, name_position)
        with transaction() as c:
            found = queries.embedding_status(c, catalog_id, spec, limit + 1, after)
        specs, following = page(found, limit, lambda status: status.spec_name)
        return EmbeddingStatusPage(specs=specs, next=following)

    @routes.endpoint(
        "GET",
        "/api-catalogs/<catalog_id>/embedding-health",
        role="reader",
        answers={200: "How many specs stand where."},
        errors=(CatalogNotFound,),
    )
    def get_embedding_health(catalog_id: CatalogId) -> EmbeddingHealth:
        """Count the specs of a catalog by where they stand."""
        with transaction() as c:
            return queries.embedding_health(c, catalog_id)

    @routes.endpoint(
        "GET",
        "/api-catalogs/<catalog_id>/embedding-jobs",
        role="reader",
        answers={200: "The jobs, newest first."},
        errors=(CatalogNotFound,),
    )
    def list_embedding_jobs(
        catalog_id: CatalogId,
        status: OneStatus = None,
        spec_name: OneSpec = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> JobPage:
        """List the embedding jobs of a catalog."""
        before = decode_cursor(cursor, id_position)
        with transaction() as c:
            found = queries.list_jobs(c, catalog_id, status, spec_name, limit + 1, before)
        jobs, following = page(found, limit, lambda job: job.id)
        return JobPage(jobs=jobs, next=following)

    @routes.endpoint(
        "GET",
        "/embedding-jobs/<job_id>",
        role="reader",
        answers={200: "The job and what happened to it, oldest first."},
        errors=(JobNotFound,),
    )
    def get_embedding_job(job_id: JobId) -> JobWithEvents:
        """Read an embedding job."""
        with transaction() as c:
            return queries.get_job(c, job_id)

    @routes.endpoint(
        "POST",
        "/embedding-jobs/<job_id>/cancel",
        role="editor",
        answers={202: "Cancelled; its worker stops within one chunk."},
        errors=(JobNotFound, JobHasEnded),
    )
    def cancel_embedding_job(job_id: JobId) -> Cancelled:
        """Cancel an embedding job."""
        with context.changes(Subject.job(job_id)).transaction() as c:
            enqueue.cancel(c, job_id)
        return Cancelled(job_id=job_id)

    @routes.endpoint(
        "POST",
        "/embedding-jobs/<job_id>/retry",
        role="editor",
        answers={202: "A job is open for its spec."},
        errors=(JobNotFound, JobIsOpen, JobHasSucceeded, SpecNotFound),
    )
    def retry_embedding_job(job_id: JobId) -> Enqueued:
        """Try a failed or cancelled embedding job again."""
        with context.changes(Subject.job(job_id)).transaction() as c:
            enqueued = enqueue.retry(c, job_id)
        context.wake(enqueued.job_id)
        return enqueued

    @routes.endpoint(
        "POST",
        "/api-catalogs/<catalog_id>/embedding-jobs/retry-failed",
        role="editor",
        answers={202: "A job is open for each spec whose newest one had failed."},
        errors=(CatalogNotFound,),
    )
    def retry_failed_embedding_jobs(catalog_id: CatalogId) -> AllQueued:
        """Try all specs of a catalog again whose newest embedding job failed."""
        with context.changes(Subject.catalog(catalog_id)).transaction() as c:
            get_catalog(c, catalog_id)
            jobs = enqueue.retry_failed(c, catalog_id)
        context.wake(*(job.job_id for job in jobs))
        return AllQueued(jobs=jobs)

    return routes
