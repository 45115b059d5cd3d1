"""The log of each job, readable at GET /embedding-jobs/{job_id}."""

from typing import Any, Literal

from psycopg.types.json import Jsonb

from opdex.database import Connection, load_statements

_SQL = load_statements("opdex.jobs", "events.sql")

type EventName = Literal[
    "enqueued", "upgraded", "claimed", "planned", "chunk", "yielded", "throttled", "provider_away",
    "retried", "failed", "lease_lost", "published", "cancelled",
]  # fmt: skip


def log_event(connection: Connection, job_id: int, event: EventName, **detail: Any) -> None:
    """Write one event of a job in the caller's transaction."""
    connection.execute(_SQL["log_event"], {"job_id": job_id, "event": event, "detail": Jsonb(detail)}, prepare=True)
