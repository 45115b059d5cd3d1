"""Renews a lease during slow provider calls, from a thread and a connection of its own."""

import time
from threading import Event, Thread
from types import TracebackType
from typing import Self

from opdex.database import Connection, Database, transaction
from opdex.errors import DatabaseFailed, DatabaseUnavailable, LeaseLost
from opdex.indexing.deadline import Deadline
from opdex.jobs import leases
from opdex.observability import logger


class LeaseClock:
    """How long the lease is known to hold, on this process's own monotonic clock."""

    def __init__(self, lease_seconds: float, deadline: Deadline) -> None:
        self._lease_seconds = lease_seconds
        self._deadline = deadline
        self._holds_until = time.monotonic() + self.lease_seconds()

    def lease_seconds(self) -> float:
        """Return how long a lease that is taken or renewed now may last: never past the invocation's end."""
        return max(0.1, min(self._lease_seconds, self._deadline.seconds_to_kill()))

    def renewed(self, asked_at: float, lease_seconds: float) -> None:
        """Note a confirmed renewal that was asked for at this monotonic time."""
        self._holds_until = max(self._holds_until, asked_at + lease_seconds)

    def require_held(self) -> None:
        """Raise LeaseLost where the lease has run out without a confirmed renewal."""
        if time.monotonic() >= self._holds_until:
            raise LeaseLost("The lease ran out before a renewal was confirmed.")


class Heartbeat:
    """A context that renews the lease every few seconds; leaving it joins the thread."""

    def __init__(self, database: Database, held: leases.Claim, clock: LeaseClock, every_seconds: float) -> None:
        self._database = database
        self._held = held
        self._clock = clock
        self._every_seconds = every_seconds
        self._stop = Event()
        self._lost = Event()
        self._thread = Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def require_held(self) -> None:
        """Raise LeaseLost where the database said so, or where the lease ran out unseen."""
        if self._lost.is_set():
            raise LeaseLost(job_id=self._held.job_id)
        self._clock.require_held()

    def _beat(self) -> None:
        connection: Connection | None = None
        try:
            while not self._stop.wait(self._every_seconds):
                try:
                    connection = connection or self._database.connect()
                    asked_at, lease_seconds = time.monotonic(), self._clock.lease_seconds()
                    with transaction(connection):
                        leases.renew(connection, self._held, lease_seconds)
                    self._clock.renewed(asked_at, lease_seconds)
                except LeaseLost:
                    self._lost.set()
                    return
                except (DatabaseUnavailable, DatabaseFailed) as error:
                    # Not the end: the next beat tries a new connection, and the clock stops the slice if none succeeds.
                    logger.debug("heartbeat missed", cause=error.details.get("cause"))
                    if connection is not None:
                        connection.close()
                        connection = None
        finally:
            if connection is not None:
                connection.close()
