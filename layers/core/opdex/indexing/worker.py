"""What an embed worker does with a wake-up: claim what has been ready longest, work, go on with the next."""

import time
from dataclasses import dataclass

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
# Lapsed leases are looked for with each wake-up, and this often where one wake-up works off many jobs.
_EXPIRE_EVERY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Taken:
    """A claimed job; ``plan`` is None where nothing was missing and the claim's transaction has published it."""

    held: leases.Claim
    model: RegisteredModel
    plan: leases.Plan | None
    clock: LeaseClock
    lease_seconds: float


class Worker:
    """Lives as long as the warm process; handles one wake-up at a time."""

    def __init__(self, settings: EmbedSettings, database: Database, embedder: Embedder, wake_ups: WakeUps) -> None:
        self._settings = settings
        self._database = database
        self._embedder = embedder
        self._wake_ups = wake_ups
        self._pace = Pace(embedder.batch_limits, settings.embedding_calls_in_flight or embedder.calls_in_flight)
        self._expired_at = 0.0
        self._model: RegisteredModel | None = None

    def handle(self, wake_up: WakeUp, deadline: Deadline) -> list[SliceResult]:
        """Work off ready jobs until none is left or the time is up; returns how each slice ended.

        Raises DatabaseUnavailable where nothing could be claimed because the database is away.
        """
        if wake_up.kind == "lease":
            self._keep_watch(wake_up)
        self._expired_at, self._model = 0.0, None
        results: list[SliceResult] = []
        while not results or (results[-1].outcome != "yielded" and deadline.leaves_room()):
            result = self._work_on_next(deadline)
            if result is None:
                break
            results.append(result)
        if not results and wake_up.kind == "ready":
            self._keep_watch(wake_up)
        return results

    def _work_on_next(self, deadline: Deadline) -> SliceResult | None:
        taken = self._take(deadline)
        if taken is None:
            return None
        held = taken.held
        if held.sibling is not None:
            self._send(WakeUp(job_id=held.sibling))
        if taken.plan is None:
            return SliceResult("published")
        watch = WakeUp(kind="lease", job_id=held.job_id, lease_token=str(held.lease_token))
        self._send(watch, taken.lease_seconds + _GRACE_SECONDS)
        return self._run_slice(held, taken.plan, taken.model, taken.clock, deadline)

    def _take(self, deadline: Deadline) -> _Taken | None:
        """Claim a job, and count what is embedded of it already, in one transaction."""
        identity, clock = self._embedder.identity, LeaseClock(self._settings.lease_seconds, deadline)
        with self._database.transaction() as connection:
            asked_at, lease_seconds = time.monotonic(), clock.lease_seconds()
            if asked_at > self._expired_at + _EXPIRE_EVERY_SECONDS:
                leases.expire_leases(connection, self._settings.max_attempts)
                self._expired_at = asked_at
            held = leases.claim(connection, identity.provider, lease_seconds)
            if held is None:
                return None
            model = self._model or register_model(connection, identity)
            plan = leases.plan_or_publish(connection, held, model, held.standing)
        self._model = model
        clock.renewed(asked_at, lease_seconds)
        return _Taken(held, model, plan, clock, lease_seconds)

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
        """Send a wake-up on, for when there may be something to do for its job.

        The wake-up of a lease goes on before anything is claimed with it: what is claimed may be another job, and take
        long. Only the newest claim's does, so that each open job has one that outlives every worker; before the first
        claim that of the job itself. Of the copies that a queue makes one a round goes on, or a few that come together.
        """
        with self._database.transaction() as connection:
            waiting = leases.waiting(connection, wake_up.job_id, self._embedder.provider)
        if waiting is None or (waiting.lease_token, waiting.watch_round) != (wake_up.lease_token, wake_up.round):
            return
        onward = wake_up.model_copy(update={"round": wake_up.round + 1})
        if self._send(onward, max(_NEXT_LOOK_SECONDS, waiting.seconds + _GRACE_SECONDS)):
            with self._database.transaction() as connection:
                leases.watched(connection, wake_up.job_id, wake_up.lease_token, wake_up.round)

    def _send(self, wake_up: WakeUp, delay_seconds: float = 0) -> bool:
        try:
            self._wake_ups.send(wake_up, delay_seconds)
        except QueueUnavailable as error:
            logger.warning("wake-up not sent; the sweep will", job_id=wake_up.job_id, cause=_cause(error))
            return False
        return True


def _cause(error: OpdexError) -> object:
    return error.details.get("cause")
