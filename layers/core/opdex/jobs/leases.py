"""What a worker does to the job it holds: claim, plan or publish, record, hand back.

Every write is fenced by the lease token in the statement that writes: where the job is no longer this worker's, the
function raises LeaseLost and nothing was written. All run in the caller's transaction. Times are the database's.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from pgvector import Vector as PgVector

from opdex.database import Connection, Statements, load_statements
from opdex.embedding import registry
from opdex.embedding.contract import Vector
from opdex.embedding.registry import RegisteredModel, require_dimension
from opdex.errors import LeaseLost, OpdexError, ProviderThrottled
from opdex.jobs.events import EventName, log_event
from opdex.observability import measure

_SQL: Statements = load_statements("opdex.jobs", "leases.sql")

# A provider that gave no Retry-After is left alone for 5 s, then twice as long each time, at most 5 minutes. One that
# gave it gets what it asked for, between 1 s (twice as long each time) and an hour: it may be wrong, too.
_COOL_DOWN_SECONDS, _LONGEST_COOL_DOWN_SECONDS = 5.0, 300.0
_LEAST_RETRY_AFTER_SECONDS, _LONGEST_RETRY_AFTER_SECONDS = 1.0, 3600.0


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the spec of a job stands: what is to be published, and since when a vector counts."""

    revision: int
    operation_count: int
    fresh_after: datetime | None


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that this worker holds under a fresh lease token."""

    job_id: int
    spec_id: int
    lease_token: UUID
    attempts: int
    slices: int
    idle_slices: int
    error_code: str | None  # why the slice before it ended, where it failed
    standing: Standing | None  # None where an upload came in the same moment: it is to be read again
    correlation_id: str | None  # of the request that opened or last renewed the job
    waited_seconds: float  # since it was ready; none has been ready longer

    @property
    def fence(self) -> dict[str, Any]:
        """What each write names, so that it comes to nothing once the lease is another's."""
        return {"job_id": self.job_id, "lease_token": self.lease_token}


@dataclass(frozen=True, slots=True)
class Ready:
    """A job that could be claimed now."""

    job_id: int
    correlation_id: str | None


@dataclass(frozen=True, slots=True)
class Published:
    """A job that was claimed and published in one statement, since it missed nothing."""

    job_id: int
    correlation_id: str | None
    operations: int


@dataclass(frozen=True, slots=True)
class MissingText:
    """A text without a usable vector, the number of operations that share it, and one of them by name."""

    text_hash: bytes
    text: str
    operations: int
    named: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What is left to embed for one revision; ``embedded`` operations have their vector already."""

    revision: int
    embedded: int
    fresh_after: datetime | None
    missing: tuple[MissingText, ...]


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a fenced write learned: where the spec stands now."""

    current_revision: int
    fresh_after: datetime | None
    cool_down_seconds: float | None  # of the provider's cool-down that another worker ran into
    shorter_waits: bool  # for a worker: a job with less to embed than this one has left
    written: int  # vectors; the others of the chunk had been written by another worker before

    def outdates(self, plan: Plan) -> bool:
        """Return whether an upload or a re-embed has overtaken the plan."""
        return (self.current_revision, self.fresh_after) != (plan.revision, plan.fresh_after)


def expire_leases(connection: Connection, max_attempts: int) -> int:
    """Take back jobs whose lease ran out, a hundred at most: a crash is an attempt. Returns how many. One statement."""
    values = {
        "max_attempts": max_attempts,
        "code": "worker_lost",
        "message": "The worker that held this job vanished; its lease ran out.",
    }
    row = connection.execute(_SQL["expire"], values, prepare=True).fetchone()
    if row is None or not row["jobs"]:
        return 0
    measure("LeasesExpired", row["jobs"])
    if row["failed"]:
        measure("JobsFailed", row["failed"])
        measure("JobsParked", row["failed"])
    return int(row["jobs"])


def claim(connection: Connection, provider: str, lease_seconds: float) -> Claim | None:
    """Claim the job that has been ready longest; None where none is ready or the provider has a cool-down.

    The spec is locked with it, and no vector is deleted before the transaction ends.
    """
    row = connection.execute(_SQL["claim"], {"provider": provider, "lease": lease_seconds}, prepare=True).fetchone()
    if row is None:
        return None
    revision, operation_count, fresh_after = row.pop("revision"), row.pop("operation_count"), row.pop("fresh_after")
    standing = None if operation_count is None else Standing(revision, operation_count, fresh_after)
    return Claim(**row, standing=standing)


def hold_vectors(connection: Connection) -> None:
    """Let no vector be deleted before the transaction ends. Waits only while a batch of them is."""
    connection.execute(_SQL["hold_vectors"], prepare=True)


def publish_ready(connection: Connection, model: RegisteredModel) -> Published | None:
    """Publish the job that has been ready longest, claimed in the same statement; None where it misses a vector.

    None, too, where none is ready. No provider is needed for it, so none is asked after. Only after
    :func:`hold_vectors`.
    """
    row = connection.execute(_SQL["publish_ready"], {"model_id": model.id}, prepare=True).fetchone()
    return Published(**row) if row else None


def next_ready(connection: Connection, provider: str) -> Ready | None:
    """Return the job that could be claimed next; None where there is none. One statement."""
    row = connection.execute(_SQL["next_ready"], {"provider": provider}, prepare=True).fetchone()
    return Ready(**row) if row else None


def read_standing(connection: Connection, held: Claim) -> Standing:
    """Return where the job's spec stands now; no vector is deleted before the transaction ends."""
    return Standing(**_fenced(connection, held, "standing"))


def plan_or_publish(
    connection: Connection, held: Claim, model: RegisteredModel, standing: Standing | None = None
) -> Plan | None:
    """Publish the spec's current revision and end the job: None. Where vectors are missing, plan for them instead.

    ``standing`` is what this transaction has read already. The publication is of all vectors at once; in its
    transaction it was seen that none is missing.
    """
    while True:
        standing = standing or read_standing(connection, held)
        values = {**held.fence, **asdict(standing), "spec_id": held.spec_id, "model_id": model.id}
        rows = connection.execute(_SQL["missing_texts"], values).fetchall()
        missing = tuple(MissingText(**row) for row in rows)
        if not missing and connection.execute(_SQL["publish"], values, prepare=True).fetchone() is not None:
            return None
        if missing and (plan := _planned(connection, held, standing, missing, values)) is not None:
            return plan
        standing = None  # the spec has moved on, or the lease is lost


def _planned(
    connection: Connection, held: Claim, standing: Standing, missing: tuple[MissingText, ...], values: dict[str, Any]
) -> Plan | None:
    embedded = standing.operation_count - sum(text.operations for text in missing)
    if connection.execute(_SQL["planned"], {**values, "embedded": embedded}, prepare=True).fetchone() is None:
        return None
    log_event(
        connection, held.job_id, "planned",
        revision=standing.revision, operations=standing.operation_count, embedded=embedded,
    )  # fmt: skip
    return Plan(standing.revision, embedded, standing.fresh_after, missing)


def renew(connection: Connection, held: Claim, lease_seconds: float) -> None:
    """Renew the lease during a slow call."""
    _fenced(connection, held, "renew", lease=lease_seconds)


def record(
    connection: Connection,
    held: Claim,
    provider: str,
    model: RegisteredModel,
    embedded: Sequence[tuple[MissingText, Vector]],
    *,
    embedded_so_far: int,
    fresh_after: datetime | None,
    lease_seconds: float,
) -> Recorded:
    """Write a chunk's vectors, the progress and the renewed lease together."""
    _fenced(connection, held, "record_progress", embedded_so_far=embedded_so_far, lease=lease_seconds)
    require_dimension(connection, model, len(embedded[0][1]))
    written = connection.execute(
        _SQL["record_vectors"],
        {
            "model_id": model.id,
            "text_hashes": [text.text_hash for text, _ in embedded],
            "embeddings": [PgVector(vector).to_text() for _, vector in embedded],
            "fresh_after": fresh_after,
        },
    ).rowcount
    log_event(connection, held.job_id, "chunk", texts=len(embedded), embedded_so_far=embedded_so_far)
    return Recorded(**_fenced(connection, held, "surroundings", provider=provider), written=written)


def settle_dimension(
    connection: Connection, held: Claim, model: RegisteredModel, dimension: int, texts: int
) -> tuple[RegisteredModel, bool]:
    """Do what :func:`opdex.embedding.registry.settle_dimension` does, unless the lease is lost."""
    settled = registry.settle_dimension(connection, model, dimension, texts)
    _fenced(connection, held, "hold_job")
    return settled


def yield_job(connection: Connection, held: Claim, *, idle: bool, rest_seconds: float = 0.0) -> None:
    """Hand the job back, behind the others that wait or for the rest of a cool-down; no attempt is spent.

    ``idle``: the slice had its whole time and brought no new vector.
    """
    _fenced(connection, held, "yield_job", idle=idle, rest=rest_seconds)
    log_event(connection, held.job_id, "yielded", idle=idle, rest_seconds=round(rest_seconds, 3))


def hold_up(
    connection: Connection,
    held: Claim,
    provider: str,
    error: OpdexError,
    *,
    retry_after: float | None,
    limit_seconds: float,
) -> float | None:
    """Start the provider's cool-down and hand the job back until its end; no attempt is spent.

    Returns the seconds until then, or None where nothing but this has happened for ``limit_seconds``: the job is
    still held and the caller's to fail.
    """
    base, longest = _COOL_DOWN_SECONDS, _LONGEST_COOL_DOWN_SECONDS
    if retry_after is not None:
        base, longest = _LEAST_RETRY_AFTER_SECONDS, _LONGEST_RETRY_AFTER_SECONDS
    cool_down = connection.execute(
        _SQL["start_cool_down"],
        {
            "provider": provider,
            "wanted": max(base, retry_after or 0.0),
            "base": base,
            "longest": longest,
            "reason": error.message,
        },
    ).fetchone()
    assert cool_down is not None  # noqa: S101 - an upsert returns its row
    values = {"until": cool_down["until"], "limit": limit_seconds, "message": error.message, "code": error.code}
    if connection.execute(_SQL["hold_up"], {**held.fence, **values}).fetchone() is None:
        _fenced(connection, held, "still_held")
        return None
    event: EventName = "throttled" if isinstance(error, ProviderThrottled) else "provider_away"
    log_event(connection, held.job_id, event, seconds=round(cool_down["seconds"], 3), reason=error.message)
    return float(cool_down["seconds"])


def end_cool_down(connection: Connection, provider: str) -> None:
    """Forget the strikes of a provider that answers again."""
    connection.execute(_SQL["end_cool_down"], {"provider": provider})


def retry_later(connection: Connection, held: Claim, error: OpdexError, max_attempts: int) -> float | None:
    """Spend an attempt and hand the job back with a backoff. Returns its seconds; None where it was the last one."""
    values = {**held.fence, "message": error.message, "code": error.code, "max_attempts": max_attempts}
    row = connection.execute(_SQL["retry_later"], values).fetchone()
    if row is None:
        return None
    log_event(connection, held.job_id, "retried", attempt=row["attempts"], error_code=error.code, reason=error.message)
    return float(row["seconds"])


def fail(connection: Connection, held: Claim, error: OpdexError, *, parked: bool) -> None:
    """End the job as failed; parked, it is tried again by itself with growing delays."""
    row = _fenced(connection, held, "fail", message=error.message, code=error.code, parked=parked)
    next_try = row["next_try_at"].astimezone(UTC).isoformat() if row["next_try_at"] else None
    log_event(connection, held.job_id, "failed", error_code=error.code, reason=error.message, next_try_at=next_try)


def _fenced(connection: Connection, held: Claim, statement: str, **values: object) -> dict[str, Any]:
    row = connection.execute(_SQL[statement], {**held.fence, **values}, prepare=True).fetchone()
    if row is None:
        raise LeaseLost(job_id=held.job_id)
    return row
