"""How many provider calls may be under way at once."""

# With k calls under way, a provider that works them off one by one takes k times as long for each. A call that took
# more than this share of the way there shows that the k-th is not worth it.
SERIAL_SHARE = 0.5
FIRST_PAUSE = 16  # calls that succeed before a window that had to close is opened again; doubles each time


class CallWindow:
    """Opens while calls do not slow each other down, and closes where they do. One lives as long as the warm process.

    A call of n texts is compared with those of n texts that were alone. A provider that works calls off one by one (a
    model on a processor) stays at one call; one that has room for more (a fleet behind a gateway) gets ``most``.
    """

    def __init__(self, most: int) -> None:
        self.size = 1
        self._most = most
        self._alone: dict[int, float] = {}  # seconds of a call of so many texts
        self._pause = 0
        self._next_pause = FIRST_PAUSE

    def measured(self, texts_sent: int, seconds: float, at_once: int) -> None:
        """Learn from a call that succeeded; ``at_once`` calls were under way when it was sent, itself included."""
        alone = self._alone.get(texts_sent)
        self._pause = max(0, self._pause - 1)
        if at_once == 1:
            self._alone[texts_sent] = seconds if alone is None else (alone + seconds) / 2
        if alone is None or at_once != self.size:
            return  # nothing to compare with: chunks still grow, or the call was sent before the window changed
        if seconds > alone * (1 + SERIAL_SHARE * (at_once - 1)) and at_once > 1:
            self.size -= 1
            self._pause, self._next_pause = self._next_pause, self._next_pause * 2
        elif self._pause == 0:
            self.size = min(self._most, self.size + 1)
