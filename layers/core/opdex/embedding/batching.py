"""How many texts the next provider call takes."""

from collections.abc import Sequence
from itertools import accumulate

from opdex.embedding.contract import BatchLimits

GROWTH = 4
SAFETY = 1.5  # a call may take this much longer than expected and still end in time
WHOLE_SLICE = 0.9  # this share of the most time ever offered passes for a whole slice's


class ChunkSizer:
    """Sizes chunks so that a call takes about as long as wanted and ends before the deadline. One lives as long as the
    warm process, for one provider."""

    def __init__(self) -> None:
        self._seconds_per_text: float | None = None
        self._ceiling = 1
        self._most_time_left = 0.0

    def next_chunk(
        self, texts: Sequence[str], limits: BatchLimits, time_left: float, target_seconds: float = 5.0
    ) -> int:
        """Return how many leading texts to send now; 0 where no call is expected to end within ``time_left``.

        Both in seconds; the call should take about ``target_seconds``. ``limits`` are those of this call: a provider
        may turn out to take less.
        """
        self._most_time_left = max(self._most_time_left, time_left)
        if not texts or time_left <= 0:
            return 0
        count = min(self._ceiling, limits.max_texts, len(texts))
        if self._seconds_per_text is not None:
            within_deadline = int(time_left / (self._seconds_per_text * SAFETY))
            if within_deadline == 0:
                # There will never be more time than a whole slice: refusing here would refuse for ever, and one freak
                # measurement (a model being loaded) would never be corrected.
                return 1 if time_left >= WHOLE_SLICE * self._most_time_left else 0
            within_target = max(1, int(target_seconds / self._seconds_per_text))
            count = min(count, within_deadline, within_target)
        sizes = accumulate(len(text) for text in texts[:count])
        return max(1, sum(size <= limits.max_characters for size in sizes))

    def measured(self, texts_sent: int, seconds: float) -> None:
        """Learn from a call that succeeded: a slow-down counts at once, a speed-up by and by."""
        latest = max(seconds, 1e-6) / texts_sent
        known = self._seconds_per_text
        self._seconds_per_text = latest if known is None or latest > known else (known + 3 * latest) / 4
        self._ceiling = max(self._ceiling, texts_sent * GROWTH)

    def failed(self, texts_sent: int) -> None:
        """Learn from a call that timed out: the next one takes half as many texts at most."""
        self._ceiling = max(1, texts_sent // 2)
