"""Jobs as a client sees them (the shapes of the HTTP contract)."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from opdex.timestamps import Timestamp

type JobStatus = Literal["pending", "running", "succeeded", "failed", "cancelled"]


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, defer_build=True)


class Job(_Row):
    """Durable work: bring one spec's published revision up to its current one."""

    id: int
    catalog_id: str
    spec_name: str
    kind: Literal["spec_write", "reconciler", "manual_retry"]
    status: JobStatus
    attempts: int
    last_error: str
    error_code: str | None
    next_try_at: Timestamp | None
    revision: int
    operation_count: int
    embedded_so_far: int | None
    reused: int
    slices: int
    created_at: Timestamp
    started_at: Timestamp | None
    updated_at: Timestamp
    completed_at: Timestamp | None


class JobEvent(_Row):
    """One thing that happened to a job."""

    at: Timestamp
    event: str
    detail: dict[str, Any]


class JobWithEvents(Job):
    """A job and what happened to it, oldest first."""

    events: list[JobEvent]


class EmbeddingStatus(_Row):
    """Where one spec stands. A field that is None is absent from the answer."""

    spec_name: str
    operation_count: int
    embedding_count: int
    embedded_so_far: int | None = None
    job_id: int | None = None
    job_status: JobStatus | None = None
    job_attempts: int | None = None
    job_last_error: str | None = None
    job_updated_at: Timestamp | None = None
    revision: int
    reused: int | None = None
    slices: int | None = None
    rate_per_second: float | None = None
    eta_seconds: float | None = None
    last_progress_at: Timestamp | None = None
    next_try_at: Timestamp | None = None


class Enqueued(_Row):
    """A job was opened, or an open one upgraded (``created`` false)."""

    job_id: int
    created: bool


class EmbeddingHealth(_Row):
    """A catalog's specs, counted by how they stand."""

    catalog_id: str
    specs_total: int = 0
    specs_indexed: int = 0
    specs_pending: int = 0
    specs_running: int = 0
    specs_failed: int = 0
