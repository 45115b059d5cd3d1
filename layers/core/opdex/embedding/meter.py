"""What an embedding provider is measured by, from outside: time, failures, tokens."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from threading import Lock

from opdex.embedding.contract import BatchLimits, Embedder, Vector
from opdex.errors import ProviderError, ProviderThrottled
from opdex.observability import logger, measure

# English in the usual vocabularies; what a provider charges by, where it does not tell.
_CHARACTERS_A_TOKEN = 4
_tokens_told: ContextVar[list[int] | None] = ContextVar("tokens_told", default=None)


def tell_tokens(count: object) -> None:
    """Note how many tokens the provider says that the call under way took; for providers, in the call's own thread."""
    told = _tokens_told.get()
    if told is not None and isinstance(count, int) and count > 0:
        told.append(count)


@dataclass(slots=True)
class _Tally:
    milliseconds: list[float] = field(default_factory=list)
    busy_seconds: float = 0.0
    throttles: int = 0
    failures: int = 0
    tokens_used: int = 0
    tokens_estimated: int = 0


class MeteredEmbedder:
    """An embedder whose indexing calls are measured, one invocation at a time.

    As it does, so this may be called from several threads; only one may hold :meth:`measured`.
    """

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._lock = Lock()
        self._tally = _Tally()
        self._under_way = 0
        self._busy_since = 0.0
        self._is_invoked = False
        self.provider = embedder.provider
        self.model = embedder.model
        self.identity = embedder.identity
        self.calls_in_flight = embedder.calls_in_flight

    @property
    def batch_limits(self) -> BatchLimits:
        """What the next call may carry."""
        return self._embedder.batch_limits

    def embed(self, texts: Sequence[str], timeout: float) -> list[Vector]:
        """Return one vector a text, in order. Raises ProviderError."""
        told: list[int] = []
        outside = _tokens_told.set(told)
        try:
            with self._timed(len(texts)):
                vectors = self._embedder.embed(texts, timeout)
        finally:
            _tokens_told.reset(outside)
        with self._lock:
            self._tally.tokens_used += sum(told)
            if not told:
                self._tally.tokens_estimated += sum(map(len, texts)) // _CHARACTERS_A_TOKEN
        return vectors

    def embed_queries(self, texts: Sequence[str]) -> list[Vector]:
        """Return the vector of each text of a search query. Raises ProviderError."""
        return self._embedder.embed_queries(texts)

    def probe(self) -> None:
        """Find out cheaply whether the provider could embed now. Raises ProviderError where it could not."""
        self._embedder.probe()

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Hand what an invocation took to the metrics at its end.

        A call that a deadline left under way goes on, but is paid for only while an invocation runs.
        """
        with self._lock:
            self._is_invoked = True
            self._busy_since = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                if self._under_way:
                    self._tally.busy_seconds += time.monotonic() - self._busy_since
                self._is_invoked = False
                tally, self._tally = self._tally, _Tally()
            _publish(tally)

    @contextmanager
    def _timed(self, texts: int) -> Iterator[None]:
        began = time.monotonic()
        with self._lock:
            if not self._under_way:
                self._busy_since = began
            self._under_way += 1
        failure: ProviderError | None = None
        try:
            yield
        except ProviderError as error:
            failure = error
            raise
        finally:
            self._ended(began, failure)
            if failure is not None:
                seconds = round(time.monotonic() - began, 3)
                logger.warning("provider call failed", error_code=failure.code, texts=texts, seconds=seconds)

    def _ended(self, began: float, failure: ProviderError | None) -> None:
        now = time.monotonic()
        with self._lock:
            self._tally.milliseconds.append(round((now - began) * 1000, 3))
            self._under_way -= 1
            if not self._under_way and self._is_invoked:
                self._tally.busy_seconds += now - self._busy_since
            if isinstance(failure, ProviderThrottled):
                self._tally.throttles += 1
            elif failure is not None:
                self._tally.failures += 1


def _publish(tally: _Tally) -> None:
    for milliseconds in tally.milliseconds:
        measure("ProviderLatency", milliseconds)
    if tally.busy_seconds:
        measure("ProviderSeconds", tally.busy_seconds)
    if tally.throttles:
        measure("ProviderThrottles", tally.throttles)
    if tally.failures:
        measure("ProviderFailures", tally.failures)
    if tally.tokens_used:
        measure("TokensUsed", tally.tokens_used)
    if tally.tokens_estimated:
        measure("TokensEstimated", tally.tokens_estimated)
