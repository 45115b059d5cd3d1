"""How much work is open, for the alarms: as fresh as the messages that keep open jobs going."""

from opdex.database import Database, load_statements
from opdex.observability import measure

_SQL = load_statements("opdex.jobs", "backlog.sql")


def measure_backlog(database: Database) -> None:
    """Measure the open jobs, and how long the oldest has been ready. Raises DatabaseUnavailable, DatabaseFailed."""
    with database.statement() as connection:
        backlog = connection.execute(_SQL["backlog"]).fetchone()
    assert backlog is not None  # noqa: S101 - a count has a row
    measure("OpenJobs", backlog["open_jobs"])
    measure("OldestReadyJobAge", backlog["oldest_ready_seconds"])
