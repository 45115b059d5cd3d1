"""What an embed worker does with a wake-up: claim what has been ready longest, work, go on with the next."""

import time
from dataclasses import dataclass

from opdex.database import Database
from opdex.embedding import Embedder, Pace
from opdex.embedding.registry import RegisteredModel, register_model
from opdex.indexing.deadline import Deadline
from opdex.indexing.heartbeat import LeaseClock
from opdex.indexing.slice import Slice, SliceResult
from opdex.indexing.watch import Watch
from opdex.jobs import leases
from opdex.jobs.wakeups import WakeUp, WakeUps, sent
from opdex.observability import logger
from opdex.settings import EmbedSettings

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
        self._watch = Watch(database, wake_ups, embedder.provider)
        self._pace = Pace(embedder.batch_limits, settings.embedding_calls_in_flight or embedder.calls_in_flight)
        self._expired_at = 0.0
        self._model: RegisteredModel | None = None

    def handle(self, wake_up: WakeUp, deadline: Deadline) -> list[SliceResult]:
        """Work off ready jobs until none is left or the time is up; returns how each slice ended.

        Raises DatabaseUnavailable where nothing could be claimed because the database is away.
        """
        self._expired_at, self._model = 0.0, None
        self._watch.keep(wake_up)
        taken = self._take(deadline)
        results: list[SliceResult] = []
        while taken is not None:
            results.append(self._work_on(taken, deadline))
            goes_on = results[-1].outcome != "yielded" and deadline.leaves_room()
            taken = self._take(deadline) if goes_on else None
        return results

    def _work_on(self, taken: _Taken, deadline: Deadline) -> SliceResult:
        if taken.plan is None:
            self._wake_sibling(taken.held)
            return SliceResult("published")
        return self._run_slice(taken, taken.plan, deadline)

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

    def _run_slice(self, taken: _Taken, plan: leases.Plan, deadline: Deadline) -> SliceResult:
        began, held = time.monotonic(), taken.held

        def tell() -> None:
            self._watch.begin(held, taken.lease_seconds)
            self._wake_sibling(held)

        work = Slice(
            self._database,
            self._embedder,
            self._pace,
            self._settings,
            taken.model,
            held,
            plan,
            taken.clock,
            deadline,
            tell,
        )
        result = work.run()
        logger.info(
            "slice ended", job_id=held.job_id, outcome=result.outcome, slice=held.slices, attempt=held.attempts,
            seconds=round(time.monotonic() - began, 3),
        )  # fmt: skip
        if result.wake_in is not None:
            sent(self._wake_ups, WakeUp(job_id=held.job_id), result.wake_in)
        return result

    def _wake_sibling(self, held: leases.Claim) -> None:
        if held.sibling is not None:
            sent(self._wake_ups, WakeUp(job_id=held.sibling))
