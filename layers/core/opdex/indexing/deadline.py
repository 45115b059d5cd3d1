"""How long an invocation may still work."""

import time
from collections.abc import Callable


class Deadline:
    """The end of an invocation's work: early enough before the kill to hand a job back and send a wake-up."""

    def __init__(self, remaining_milliseconds: Callable[[], int]) -> None:
        self._killed_at = time.monotonic() + remaining_milliseconds() / 1000
        whole = self._killed_at - time.monotonic()
        self._margin = min(5.0, max(0.3, 0.1 * whole))
        self._ends_at = self._killed_at - self._margin
        self._whole_seconds = self._ends_at - time.monotonic()

    def seconds_left(self) -> float:
        """Return the seconds left for work; negative when it is time to be gone."""
        return self._ends_at - time.monotonic()

    def is_nearly_whole(self) -> bool:
        """Return whether hardly any time has gone yet: more than this no invocation ever has."""
        return self.seconds_left() > 0.8 * self._whole_seconds

    def leaves_room(self) -> bool:
        """Return whether beginning with another job is worth its claim."""
        return self.seconds_left() > 0.25 * self._whole_seconds

    def seconds_to_kill(self) -> float:
        """Return the seconds until the runtime ends the process."""
        return self._killed_at - time.monotonic()

    def seconds_of_patience(self) -> float:
        """Return the seconds for which the database may be waited for: then it is time to say that it is away."""
        return self.seconds_left() + 0.5 * self._margin
