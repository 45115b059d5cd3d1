"""What an embed worker does with a wake-up: claim what has been ready longest, work, go on with the next."""

import time
from dataclasses import asdict, dataclass

from opdex.database import Database
from opdex.embedding import Embedder, Pace
from opdex.embedding.meter import MeteredEmbedder
from opdex.embedding.registry import register_model
from opdex.errors import DatabaseFailed, DatabaseUnavailable
from opdex.indexing.deadline import Deadline
from opdex.indexing.heartbeat import LeaseClock
from opdex.indexing.slice import Outcome, Slice, SliceResult
from opdex.indexing.watch import Watch
from opdex.jobs import leases
from opdex.jobs.backlog import measure_backlog
from opdex.jobs.wakeups import WakeUp, WakeUps, sent
from opdex.observability import Metric, log_context, logger, measure
from opdex.settings import EmbedSettings

_METRIC_OF: dict[Outcome, Metric] = {
    "published": "JobsSucceeded",
    "failed": "JobsFailed",
    "yielded": "SlicesYielded",
    "made_room": "SlicesYielded",
    "held_up": "SlicesHeldUp",
    "retried": "AttemptsFailed",
    "lease_lost": "LeasesLost",
}

# Lapsed leases are looked for with each wake-up, and this often where one wake-up works off many jobs.
_EXPIRE_EVERY_SECONDS = 1.0
# Jobs that miss nothing are published several to a commit, as many as this time takes.
_TAKE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class _Taken:
    """A claimed job, and what is to be embedded for it."""

    held: leases.Claim
    plan: leases.Plan
    clock: LeaseClock
    lease_seconds: float


class Worker:
    """Lives as long as the warm process; handles one wake-up at a time."""

    def __init__(self, settings: EmbedSettings, database: Database, embedder: Embedder, wake_ups: WakeUps) -> None:
        self._settings = settings
        self._database = database
        self._embedder = MeteredEmbedder(embedder)
        self._wake_ups = wake_ups
        self._watch = Watch(database, wake_ups, embedder.provider)
        self._pace = Pace(settings.embedding_calls_in_flight or embedder.calls_in_flight)
        self._expired_at: float  # when lapsed leases were looked for

    def handle(self, wake_up: WakeUp, deadline: Deadline) -> list[SliceResult]:
        """Work off ready jobs until none is left or the time is up; returns how each slice ended.

        Raises DatabaseUnavailable, DatabaseFailed where the database is away or refuses; what was done before stays.
        """
        with self._embedder.measured(), self._database.giving_up_after(deadline.seconds_of_patience()):
            return self._work_off(wake_up, deadline)

    def _work_off(self, wake_up: WakeUp, deadline: Deadline) -> list[SliceResult]:
        self._watch.keep(wake_up)
        self._expired_at = 0.0
        with self._database.statement() as connection:
            self._model = register_model(connection, self._embedder.identity)
        results: list[SliceResult] = []
        while True:
            published, taken = self._take(deadline)
            results += [SliceResult("published")] * len(published)
            if taken is not None:
                results.append(self._run_slice(taken, deadline))
            if not (published or taken):
                measure_backlog(
                    self._database
                )  # none, for all that is known: or alarms would go by what was open before
                return results
            if results[-1].outcome == "yielded" or not deadline.leaves_room():
                return results

    def _take(self, deadline: Deadline) -> tuple[list[leases.Published], _Taken | None]:
        """Publish ready jobs that miss nothing, and claim the first that misses something, in one short transaction.

        Returns what was published, and the claim.
        """
        provider, clock = self._embedder.provider, LeaseClock(self._settings.lease_seconds, deadline)
        published: list[leases.Published] = []
        taken = None
        began = time.monotonic()
        if began > self._expired_at + _EXPIRE_EVERY_SECONDS:
            with self._database.statement() as connection:
                leases.expire_leases(connection, self._settings.max_attempts)
            self._expired_at = began
        asked_at = time.monotonic()  # before the transaction: leases are counted from its beginning
        with self._database.transaction() as connection:
            lease_seconds = clock.lease_seconds()
            leases.hold_vectors(connection)
            while not published or time.monotonic() < asked_at + _TAKE_SECONDS:
                done = leases.publish_ready(connection, self._model)
                if done is None:
                    held = leases.claim(connection, provider, lease_seconds)
                    if held is None:
                        break
                    plan = leases.plan_or_publish(connection, held, self._model, held.standing)
                    if plan is not None:
                        taken = _Taken(held, plan, clock, lease_seconds)
                        break
                    done = leases.Published(held.job_id, held.correlation_id, _operations(held))
                published.append(done)
        _tell_published(published)
        if taken is not None:
            clock.renewed(asked_at, taken.lease_seconds)
            measure("OldestReadyJobAge", taken.held.waited_seconds)
            if taken.held.slices == 1:
                measure("TextsReused", taken.plan.embedded)
        elif published:
            self._wake_sibling()
        return published, taken

    def _run_slice(self, taken: _Taken, deadline: Deadline) -> SliceResult:
        held = taken.held
        with log_context(
            correlation_id=held.correlation_id, job_id=held.job_id, slice=held.slices, attempt=held.attempts
        ):
            result = self._run_claimed(taken, deadline)
        measure(_METRIC_OF[result.outcome])
        if result.outcome in ("published", "failed"):
            measure("SlicesPerJob", held.slices)
        return result

    def _run_claimed(self, taken: _Taken, deadline: Deadline) -> SliceResult:
        began, held = time.monotonic(), taken.held
        logger.info("slice begins", missing=len(taken.plan.missing), embedded=taken.plan.embedded)

        def tell() -> None:
            self._watch.begin(held, taken.lease_seconds)
            self._wake_sibling()

        work = Slice(
            self._database,
            self._embedder,
            self._pace,
            self._settings,
            self._model,
            held,
            taken.plan,
            taken.clock,
            deadline,
            tell,
        )
        result = work.run()
        self._model = work.model
        seconds = round(time.monotonic() - began, 3)
        logger.info("slice ended", outcome=result.outcome, texts=result.texts_embedded, seconds=seconds)
        goes_on = result.outcome == "made_room" and deadline.leaves_room()
        if result.wake_in is not None and not goes_on:
            sent(self._wake_ups, WakeUp(job_id=held.job_id, correlation_id=held.correlation_id), result.wake_in)
        return result

    def _wake_sibling(self) -> None:
        """Wake another worker where more is ready. What is not done here the next wake-up does."""
        try:
            with self._database.statement() as connection:
                sibling = leases.next_ready(connection, self._embedder.provider)
        except (DatabaseUnavailable, DatabaseFailed) as error:
            logger.warning("no sibling woken", cause=error.details.get("cause"))
            return
        if sibling is not None:
            sent(self._wake_ups, WakeUp(**asdict(sibling)))


def _operations(held: leases.Claim) -> int:
    return held.standing.operation_count if held.standing else 0


def _tell_published(published: list[leases.Published]) -> None:
    if not published:
        return
    measure("JobsSucceeded", len(published))
    measure("TextsReused", sum(job.operations for job in published))
    for job in published:
        logger.info("published, nothing missing", job_id=job.job_id, correlation_id=job.correlation_id)
