"""How fast a provider is called: texts a call, and calls at once."""

from collections.abc import Sequence

from opdex.embedding.batching import ChunkSizer
from opdex.embedding.contract import BatchLimits
from opdex.embedding.window import CallWindow


class Pace:
    """What a warm process has learned of its provider. For one thread."""

    def __init__(self, calls_in_flight: int) -> None:
        self._sizer = ChunkSizer()
        self._window = CallWindow(calls_in_flight)
        self.calls_in_flight = calls_in_flight

    def allows_another(self, under_way: int) -> bool:
        """Return whether one more call may start while so many are under way."""
        return under_way < self._window.size

    def next_chunk(
        self, texts: Sequence[str], limits: BatchLimits, *, under_way: int, time_left: float, target_seconds: float
    ) -> int:
        """Return how many leading texts to send now; 0 where no call is expected to end within ``time_left``."""
        # At worst the provider works calls off one by one, and this one waits for all before it.
        return self._sizer.next_chunk(texts, limits, time_left / (under_way + 1), target_seconds)

    def measured(self, texts_sent: int, seconds: float, at_once: int) -> None:
        """Learn from a call that succeeded; ``at_once`` were under way when it was sent, itself included."""
        self._sizer.measured(texts_sent, seconds)
        self._window.measured(texts_sent, seconds, at_once)

    def failed(self, texts_sent: int) -> None:
        """Learn from a call that failed: the next ones take fewer texts."""
        self._sizer.failed(texts_sent)
