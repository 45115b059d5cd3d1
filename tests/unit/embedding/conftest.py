"""A clock that moves only where a test says so."""

import pytest

from opdex.embedding import transport


class Clock:
    """What deadlines look at, in place of the time module."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(transport, "time", clock)
    return clock
