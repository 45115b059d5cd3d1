"""Stand-ins for what the API works with."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from opdex.embedding import ModelIdentity
from opdex.errors import DatabaseUnavailable, ProviderError
from opdex.jobs.wakeups import WakeUp

NOW = datetime(2026, 5, 19, 11, 42, 3, tzinfo=UTC)


class FakeDatabase:
    """Notes what happens around its transactions; ``away`` makes it refuse them."""

    def __init__(self, log: list[str]) -> None:
        self.away = False
        self._log = log

    @contextmanager
    def giving_up_after(self, seconds: float) -> Iterator[None]:
        yield

    @contextmanager
    def statement(self) -> Iterator[Any]:
        if self.away:
            raise DatabaseUnavailable
        yield self

    @contextmanager
    def transaction(self, *, read_only: bool = False) -> Iterator[Any]:
        if self.away:
            raise DatabaseUnavailable
        self._log.append("begin")
        yield self
        self._log.append("commit")

    def execute(self, statement: str) -> None:
        self._log.append(statement)


class FakeWakeUps:
    """Keeps the wake-ups that were sent."""

    def __init__(self, log: list[str]) -> None:
        self.sent: list[int] = []
        self.error: Exception | None = None
        self._log = log

    def send(self, wake_up: WakeUp, delay_seconds: float = 0) -> None:
        if self.error:
            raise self.error
        self._log.append("wake")
        self.sent.append(wake_up.job_id)


class FakeEmbedder:
    """Can only tell who it is, and be away."""

    identity = ModelIdentity("ollama", "nomic-embed-text")

    def __init__(self) -> None:
        self.error: ProviderError | None = None

    def probe(self) -> None:
        if self.error:
            raise self.error
