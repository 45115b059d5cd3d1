"""The provider calls of one slice: which texts go next, how many calls are under way, what came back."""

import time
from collections import deque
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from types import TracebackType
from typing import Self

from opdex.embedding import Embedder, Pace, Vector
from opdex.errors import ProviderError, ProviderTimeout, ProviderUnreached, TextRejected, TextTooSlow
from opdex.indexing.deadline import Deadline
from opdex.jobs.leases import MissingText
from opdex.observability import measure

type Chunk = tuple[MissingText, ...]
type Embedded = list[tuple[MissingText, Vector]]

# A slice shows that it is at work before it settles into full chunks.
_FIRST_CALL_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class CallLimits:
    """How long a call should take, and how long it may; in seconds."""

    target_seconds: float
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class _Call:
    chunk: Chunk
    began: float
    timeout: float
    at_once: int
    had_its_whole_time: bool


class Calls:
    """A context that starts calls and collects what they bring.

    Used by one thread; the calls run in threads of their own. A failed call ends the starting of others; what those
    under way bring is still collected, and ``failure`` is raised by whoever asks for the outcome.
    """

    def __init__(
        self,
        embedder: Embedder,
        pace: Pace,
        limits: CallLimits,
        deadline: Deadline,
        missing: Iterable[MissingText],
    ) -> None:
        self._embedder = embedder
        self._pace = pace
        self._limits = limits
        self._deadline = deadline
        self._waiting = deque(missing)
        self._largest = len(self._waiting)
        self._under_way: dict[Future[list[Vector]], _Call] = {}
        self._texts_answered = 0
        self._unwritten: list[float] = []  # when the calls began whose vectors are not written yet
        self._stopped = False
        self._threads = ThreadPoolExecutor(pace.calls_in_flight, thread_name_prefix="call")
        self.failure: ProviderError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Where the slice must stop at once, nobody waits for what nobody may write; elsewhere nothing is under way.
        self._threads.shutdown(wait=False)

    @property
    def under_way(self) -> int:
        """How many calls have been sent that have not come back."""
        return len(self._under_way)

    @property
    def texts_paid_for(self) -> int:
        """How many texts a provider has embedded, or embeds now, for this slice."""
        return self._texts_answered + sum(len(call.chunk) for call in self._under_way.values())

    @property
    def are_left(self) -> bool:
        """Whether texts wait that no call has been sent for."""
        return bool(self._waiting)

    def stop(self) -> None:
        """Start no further call."""
        self._stopped = True

    def start(self) -> None:
        """Start calls until the window is full, no text waits, or none is expected to end before the deadline.

        Of what came back one call's vectors may be unwritten beside a full window, so that the write overlaps the next
        calls; more take a place in it each. That is what a crash can cost.
        """
        while self._waiting and not self._stopped and self._pace.allows_another(self._at_stake()):
            size = self._next_size()
            if size == 0:
                return
            chunk = tuple(self._waiting.popleft() for _ in range(size))
            left = self._deadline.seconds_left()
            timeout = min(left, self._limits.timeout_seconds)
            future = self._threads.submit(self._embedder.embed, [missing.text for missing in chunk], timeout)
            at_once = len(self._under_way) + 1
            self._under_way[future] = _Call(chunk, time.monotonic(), timeout, at_once, self._deadline.is_nearly_whole())

    def written(self) -> None:
        """Note that all that came back is written."""
        now = time.monotonic()
        for began in self._unwritten:
            measure("ChunkLatency", round((now - began) * 1000, 3))
        self._unwritten.clear()

    def collect(self) -> Embedded:
        """Wait until a call comes back, and return what all that have come back brought. To be written next."""
        came_back, _ = wait(self._under_way, return_when=FIRST_COMPLETED)
        ended = time.monotonic()
        embedded: Embedded = []
        for future in came_back:
            call = self._under_way.pop(future)
            try:
                vectors = future.result()
            except ProviderError as error:
                self._pace.failed(len(call.chunk))
                self._give_up(call, error)
            else:
                self._pace.measured(len(call.chunk), ended - call.began, call.at_once)
                self._texts_answered += len(call.chunk)
                self._unwritten.append(call.began)
                embedded += zip(call.chunk, vectors, strict=True)
        return embedded

    def _at_stake(self) -> int:
        return len(self._under_way) + max(0, len(self._unwritten) - 1)

    def _next_size(self) -> int:
        target, limits = self._limits.target_seconds, self._embedder.batch_limits
        return self._pace.next_chunk(
            [missing.text for missing in islice(self._waiting, min(self._largest, limits.max_texts))],
            limits,
            under_way=len(self._under_way),
            time_left=self._deadline.seconds_left(),
            target_seconds=target if self._texts_answered else min(target, _FIRST_CALL_SECONDS),
        )

    def _give_up(self, call: _Call, error: ProviderError) -> None:
        name = call.chunk[0].named
        took_all_its_time = isinstance(error, ProviderTimeout) and not isinstance(error, ProviderUnreached)
        cut_by_deadline = took_all_its_time and call.timeout < self._limits.timeout_seconds
        if isinstance(error, TextRejected) and len(call.chunk) > 1:
            # Closes in on the text that is refused.
            self._waiting.extendleft(reversed(call.chunk))
            self._largest = len(call.chunk) // 2
            return
        if cut_by_deadline and not (len(call.chunk) == 1 and call.had_its_whole_time):
            # Says nothing about the provider: its texts are the next slice's.
            self._waiting.extendleft(reversed(call.chunk))
            self.stop()
            return
        self.stop()
        alone_too_long = took_all_its_time and len(call.chunk) == 1
        if isinstance(error, TextRejected):
            error = TextRejected(f"{name}: {error.message}")
        elif cut_by_deadline or (alone_too_long and self._provider_is_there()):
            error = TextTooSlow(f"{name}: {TextTooSlow.__doc__}")
        self.failure = self.failure or error

    def _provider_is_there(self) -> bool:
        """Whether a call that took all its time says something about its text, and not about the provider.

        One that has not answered by the deadline is not there.
        """
        probe = self._threads.submit(self._embedder.probe)
        try:
            probe.result(self._deadline.seconds_left())
        except (ProviderError, TimeoutError):
            return False
        return True
