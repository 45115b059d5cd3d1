"""The time that one fetch may take, all its look-ups, connections and redirects together."""

import time

from opdex.errors import SourceTimeout


class Deadline:
    """A moment on the monotonic clock by which a fetch has to be over."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self, at_most: float | None = None) -> float:
        """Return the seconds left, or ``at_most`` where that is less. Raises SourceTimeout where there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise SourceTimeout(f"The server did not deliver the document within {self._seconds:g} s.")
        return left if at_most is None else min(left, at_most)
