"""What an embed worker does with a wake-up: claim what has been ready longest, work, go on with the next."""

import time

from opdex.database import Database
from opdex.embedding import Embedder, Pace
from opdex.embedding.registry import RegisteredModel, register_model
from opdex.errors import OpdexError, QueueUnavailable
from opdex.indexing.deadline import Deadline
from opdex.indexing.heartbeat import LeaseClock
from opdex.indexing.slice import Slice, SliceResult
from opdex.jobs import leases
from opdex.jobs.wakeups import WakeUp, WakeUps
from opdex.observability import logger
from opdex.settings import EmbedSettings

# A lease is looked after just after its end.
_GRACE_SECONDS = 1.0
# A job that is ready when its wake-up looks after it is mostly claimed with that very wake-up.
_NEXT_LOOK_SECONDS = 5.0


class Worker:
    """Lives as long as the warm process; handles one wake-up at a time."""

    def __init__(self, settings: EmbedSettings, database: Database, embedder: Embedder, wake_ups: WakeUps) -> None:
        self._settings = settings
        self._database = database
        self._embedder = embedder
        self._wake_ups = wake_ups
        self._pace = Pace(embedder.batch_limits, settings.embedding_calls_in_flight or embedder.calls_in_flight)

    def handle(self, wake_up: WakeUp, deadline: Deadline) -> list[SliceResult]:
        """Work off ready jobs until none is left or the time is up; returns how each slice ended.

        Raises DatabaseUnavailable where nothing could be claimed because the database is away.
        """
        if wake_up.kind == "lease":
            self._keep_watch(wake_up)
        results: list[SliceResult] = []
        while not results or (results[-1].outcome != "yielded" and deadline.leaves_room()):
            result = self._work_on_next(deadline)
            if result is None:
                break
            results.append(result)
        if not results and wake_up.kind == "ready":
            self._wait_with(wake_up)
        return results

    def _work_on_next(self, deadline: Deadline) -> SliceResult | None:
        clock = LeaseClock(self._settings.lease_seconds, deadline)
        identity = self._embedder.identity
        with self._database.transaction() as connection:
            asked_at, lease_seconds = time.monotonic(), clock.lease_seconds()
            leases.expire_leases(connection, self._settings.max_attempts)
            held = leases.claim(connection, identity.provider, lease_seconds)
            if held is None:
                return None
            model = register_model(connection, identity)
            plan = leases.plan(connection, held, model)
            sibling = leases.next_ready(connection, identity.provider)
        clock.renewed(asked_at, lease_seconds)
        if sibling is not None:
            self._send(WakeUp(job_id=sibling))
        watch = WakeUp(kind="lease", job_id=held.job_id, lease_token=str(held.lease_token))
        self._send(watch, lease_seconds + _GRACE_SECONDS)
        return self._run_slice(held, plan, model, clock, deadline)

    def _run_slice(
        self, held: leases.Claim, plan: leases.Plan, model: RegisteredModel, clock: LeaseClock, deadline: Deadline
    ) -> SliceResult:
        began = time.monotonic()
        work = Slice(
            self._database,
            self._embedder,
            self._pace,
            self._settings,
            model,
            held,
            plan,
            clock,
            deadline,
        )
        result = work.run()
        logger.info(
            "slice ended", job_id=held.job_id, outcome=result.outcome, slice=held.slices, attempt=held.attempts,
            seconds=round(time.monotonic() - began, 3),
        )  # fmt: skip
        if result.wake_in is not None:
            self._send(WakeUp(job_id=held.job_id), result.wake_in)
        return result

    def _keep_watch(self, wake_up: WakeUp) -> None:
        """Send the wake-up of a lease again, for when there may be something to do for its job.

        Only the newest claim's goes on, so that each open job has one that outlives every worker. It does so before
        anything is claimed with it: what is claimed may be another job, and take long.
        """
        waiting = self._waiting(wake_up)
        if waiting is not None and waiting.lease_token == wake_up.lease_token:
            self._send(wake_up, max(_NEXT_LOOK_SECONDS, waiting.seconds + _GRACE_SECONDS))

    def _wait_with(self, wake_up: WakeUp) -> None:
        """Send the wake-up of a job that waits for its first claim again, for when its time comes."""
        waiting = self._waiting(wake_up)
        if waiting is not None and waiting.lease_token is None and waiting.seconds > 0:
            self._send(wake_up, waiting.seconds)

    def _waiting(self, wake_up: WakeUp) -> leases.Waiting | None:
        with self._database.transaction() as connection:
            return leases.waiting(connection, wake_up.job_id, self._embedder.provider)

    def _send(self, wake_up: WakeUp, delay_seconds: float = 0) -> None:
        try:
            self._wake_ups.send(wake_up, delay_seconds)
        except QueueUnavailable as error:
            logger.warning("wake-up not sent; the sweep will", job_id=wake_up.job_id, cause=_cause(error))


def _cause(error: OpdexError) -> object:
    return error.details.get("cause")
