"""One slice of one job: embed what the plan misses, chunk by chunk, and publish, until done or nearly out of time."""

import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

from opdex.database import Connection, Database
from opdex.embedding import Embedder, Pace
from opdex.embedding.registry import RegisteredModel, another_length
from opdex.errors import (
    DatabaseFailed,
    DatabaseUnavailable,
    LeaseLost,
    OpdexError,
    ProviderError,
    ProviderRefused,
    ProviderThrottled,
    ProviderTimeout,
    ProviderUnavailable,
    SliceBroke,
    TextRejected,
    TextTooSlow,
)
from opdex.indexing.calls import CallLimits, Calls, Embedded
from opdex.indexing.deadline import Deadline
from opdex.indexing.heartbeat import Heartbeat, LeaseClock
from opdex.jobs import leases
from opdex.observability import described, logger, measure
from opdex.settings import EmbedSettings

type Outcome = Literal["published", "yielded", "made_room", "held_up", "retried", "failed", "lease_lost"]

# What the database refuses three times it refuses for a reason.
_REFUSALS = 3


@dataclass(frozen=True, slots=True)
class SliceResult:
    """How a slice ended. ``wake_in``: seconds until a wake-up should go out for the job; None for none."""

    outcome: Outcome
    wake_in: float | None = None
    texts_embedded: int = 0


class _Interruption(Exception):
    """Why a slice stops before all texts of its plan are embedded."""


class _OutOfTime(_Interruption):
    """No further call is expected to end before the deadline."""


class _Overtaken(_Interruption):
    """An upload or a re-embed has come after the plan."""


class _MakingRoom(_Interruption):
    """A shorter job waits, and this slice has had its turn. With a longer one, taking turns would end both later."""


class _CoolingDown(_Interruption):
    """Another worker has run into the provider's cool-down, which is everybody's."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class Slice:
    """The work of one invocation for one claimed job. Used once, by one thread."""

    def __init__(
        self,
        database: Database,
        embedder: Embedder,
        pace: Pace,
        settings: EmbedSettings,
        model: RegisteredModel,
        held: leases.Claim,
        plan: leases.Plan,
        clock: LeaseClock,
        deadline: Deadline,
        tell: Callable[[], None],
    ) -> None:
        """``tell`` sends the messages that follow a claim; it is called while the first calls are under way."""
        self._database = database
        self._embedder = embedder
        self._pace = pace
        self._settings = settings
        self.model = model  # with the length of its vectors, once this slice knows it
        self._held = held
        self._plan = plan
        self._clock = clock
        self._deadline = deadline
        self._tell: Callable[[], None] | None = tell
        self._asked_at: float  # when the newest transaction began
        self._texts_embedded = 0
        self._texts_paid_for = 0
        self._texts_written = 0
        self._had_its_whole_time = deadline.is_nearly_whole()
        self._began = time.monotonic()

    def run(self) -> SliceResult:
        """Work until the job has ended, is handed back or is lost. Raises DatabaseUnavailable where it must give up."""
        try:
            return replace(self._run(), texts_embedded=self._texts_embedded)
        finally:
            measure("TextsWasted", max(0, self._texts_paid_for - self._texts_written))

    def _run(self) -> SliceResult:
        try:
            with Heartbeat(self._database, self._held, self._clock, self._settings.heartbeat_seconds) as heartbeat:
                try:
                    return self._embed_and_publish(heartbeat)
                except _OutOfTime:
                    return self._hand_back()
                except _MakingRoom:
                    return self._make_room()
                except _CoolingDown as cooling:
                    return self._rest(cooling.seconds)
                except (ProviderThrottled, ProviderUnavailable) as error:
                    return self._hold_up(error)
                except TextTooSlow as error:
                    # It is given a second slice, on another worker perhaps, and not five.
                    again = self._held.error_code == error.code
                    return self._fail(error, parked=True) if again else self._spend_attempt(error)
                except (TextRejected, ProviderRefused) as error:
                    return self._fail(error, parked=isinstance(error, ProviderRefused))
                except (ProviderError, DatabaseFailed) as error:
                    return self._spend_attempt(error)
                except OpdexError:
                    raise
                except Exception as error:  # noqa: BLE001 - written down, and an attempt of the job
                    logger.error("slice broke", errors=described(error))
                    return self._spend_attempt(SliceBroke())
        except LeaseLost:
            logger.warning("lease lost")
            self._database.close()  # it may have run out unseen because this connection is stuck
            return SliceResult("lease_lost")

    def _embed_and_publish(self, heartbeat: Heartbeat) -> SliceResult:
        plan: leases.Plan | None = self._plan
        while plan is not None:
            self._plan = plan
            with suppress(_Overtaken):
                self._embed_missing(heartbeat)
            plan = self._persist(lambda c: leases.plan_or_publish(c, self._held, self.model))
        return SliceResult("published")

    def _embed_missing(self, heartbeat: Heartbeat) -> None:
        """Embed what the plan misses. Raises _Interruption where texts are left, and what a call failed with."""
        embedded_so_far, interruption = self._plan.embedded, None
        limits = CallLimits(self._settings.embedding_chunk_seconds, self._settings.embedding_timeout_seconds)
        with Calls(self._embedder, self._pace, limits, self._deadline, self._plan.missing) as calls:
            heartbeat.require_held()
            calls.start()
            self._tell_once()
            try:
                while calls.under_way:
                    embedded = calls.collect()
                    heartbeat.require_held()
                    calls.start()  # these are under way while the vectors are written
                    for same_length in _by_length(embedded):
                        embedded_so_far += sum(missing.operations for missing, _ in same_length)
                        interruption = self._reason_to_stop(self._record(same_length, embedded_so_far)) or interruption
                    if interruption is not None:
                        calls.stop()
                    calls.written()
                    calls.start()
            finally:
                self._texts_paid_for += calls.texts_paid_for
        if calls.failure is not None:
            raise calls.failure
        if interruption is not None and (calls.are_left or isinstance(interruption, _Overtaken)):
            raise interruption
        if calls.are_left:
            raise _OutOfTime

    def _tell_once(self) -> None:
        if self._tell is not None:
            tell, self._tell = self._tell, None
            tell()

    def _reason_to_stop(self, recorded: leases.Recorded) -> _Interruption | None:
        if recorded.cool_down_seconds is not None:
            return _CoolingDown(recorded.cool_down_seconds)
        if recorded.outdates(self._plan):
            return _Overtaken()
        if recorded.shorter_waits and time.monotonic() > self._began + self._settings.make_room_seconds:
            return _MakingRoom()
        return None

    def _record(self, embedded: Embedded, embedded_so_far: int) -> leases.Recorded:
        """Write vectors of one length."""
        dimension = len(embedded[0][1])
        overruled, earlier = False, self.model.dimension
        if dimension != earlier:
            self.model, overruled = self._persist(
                lambda c: leases.settle_dimension(c, self._held, self.model, dimension, len(embedded))
            )

        def write(connection: Connection) -> tuple[leases.Recorded, float]:
            lease_seconds = self._clock.lease_seconds()
            if self._texts_embedded == 0:
                leases.end_cool_down(connection, self._embedder.provider)
            recorded = leases.record(
                connection,
                self._held,
                self._embedder.provider,
                self.model,
                embedded,
                embedded_so_far=embedded_so_far,
                fresh_after=self._plan.fresh_after,
                lease_seconds=lease_seconds,
            )
            return recorded, lease_seconds

        recorded, lease_seconds = self._persist(write)
        self._clock.renewed(self._asked_at, lease_seconds)
        self._texts_embedded += len(embedded)
        self._texts_written += recorded.written
        measure("TextsEmbedded", len(embedded))
        logger.info("chunk written", texts=len(embedded), embedded_so_far=embedded_so_far)
        if overruled:
            raise another_length(dimension, earlier)  # an attempt: a provider that keeps changing must come to an end
        return recorded

    def _hand_back(self) -> SliceResult:
        idle = self._had_its_whole_time and self._texts_embedded == 0
        if idle and self._held.idle_slices + 1 >= self._settings.max_idle_slices:
            error = ProviderTimeout(f"No new vector in {self._settings.max_idle_slices} slices in a row.")
            return self._spend_attempt(error)
        self._persist(lambda c: leases.yield_job(c, self._held, idle=idle))
        return SliceResult("yielded", wake_in=0)

    def _make_room(self) -> SliceResult:
        self._persist(lambda c: leases.yield_job(c, self._held, idle=False))
        return SliceResult("made_room", wake_in=0)

    def _rest(self, seconds: float) -> SliceResult:
        self._persist(lambda c: leases.yield_job(c, self._held, idle=False, rest_seconds=seconds))
        return SliceResult("held_up", wake_in=seconds)

    def _hold_up(self, error: ProviderThrottled | ProviderUnavailable) -> SliceResult:
        limit = self._settings.held_up_limit_seconds

        def write(connection: Connection) -> float | None:
            provider, retry_after = self._embedder.provider, error.retry_after
            return leases.hold_up(connection, self._held, provider, error, retry_after=retry_after, limit_seconds=limit)

        seconds = self._persist(write)
        if seconds is None:
            patience = ProviderUnavailable(f"For {limit / 3600:g} hours nothing but: {error.message}")
            return self._fail(patience, parked=True)
        return SliceResult("held_up", wake_in=seconds)

    def _spend_attempt(self, error: OpdexError) -> SliceResult:
        seconds = self._persist(lambda c: leases.retry_later(c, self._held, error, self._settings.max_attempts))
        if seconds is None:
            return self._fail(error, parked=True)
        logger.warning("attempt failed", error_code=error.code, errors=described(error))
        return SliceResult("retried", wake_in=seconds)

    def _fail(self, error: OpdexError, *, parked: bool) -> SliceResult:
        self._persist(lambda c: leases.fail(c, self._held, error, parked=parked))
        logger.error("job failed", error_code=error.code, parked=parked, errors=described(error))
        if parked:
            measure("JobsParked")
        return SliceResult("failed")

    def _persist[T](self, write: Callable[[Connection], T]) -> T:
        """Run a fenced write in a transaction, again and again through a database error, while the lease holds.

        Raises LeaseLost, DatabaseUnavailable where the deadline comes first, DatabaseFailed where the database refuses
        it for good. A write whose commit was lost on the way may run twice: the second changes nothing that counts, or
        finds the fence gone with the first.
        """
        pause, refusals = 0.05, 0
        while True:
            self._clock.require_held()
            self._asked_at = time.monotonic()  # before the transaction: a lease is counted from its beginning
            try:
                with self._database.transaction() as connection:
                    return write(connection)
            except (DatabaseUnavailable, DatabaseFailed) as error:
                logger.debug("write failed, trying again", cause=error.details.get("cause"))
                refusals += isinstance(error, DatabaseFailed)
                if refusals == _REFUSALS or self._deadline.seconds_left() < pause:
                    raise
            time.sleep(pause * random.uniform(0.5, 1))  # nosec B311  # noqa: S311 - jitter
            pause = min(2.0, pause * 2)


def _by_length(embedded: Embedded) -> list[Embedded]:
    """Return the same in parts, the largest first. A provider answers one length, or one answer of several is wrong."""
    parts: dict[int, Embedded] = {}
    for text, vector in embedded:
        parts.setdefault(len(vector), []).append((text, vector))
    return sorted(parts.values(), key=len, reverse=True)
