"""What the message that watches over an open job asks and notes; each is one statement."""

from dataclasses import dataclass

from opdex.database import Connection, load_statements

_SQL = load_statements("opdex.jobs", "watches.sql")

# The round of a claim whose message has not been sent yet; the first to be sent is round 0.
UNWATCHED = -1


@dataclass(frozen=True, slots=True)
class Waiting:
    """An open job, and for how many seconds there is nothing to do for it."""

    status: str
    lease_token: str | None
    watch_round: int
    seconds: float
    correlation_id: str | None


def waiting(connection: Connection, job_id: int, provider: str) -> Waiting | None:
    """Return how a job waits; None where it has ended."""
    row = connection.execute(_SQL["waiting"], {"job_id": job_id, "provider": provider}, prepare=True).fetchone()
    return Waiting(**row) if row else None


def watched(connection: Connection, job_id: int, lease_token: str | None, watch_round: int) -> None:
    """Note that the message of this round was sent, so that none of an earlier one goes on."""
    connection.execute(
        _SQL["watched"], {"job_id": job_id, "lease_token": lease_token, "round": watch_round}, prepare=True
    )
