"""A provider that throttles, or is away, for hours: on a clock that the tests set."""

import heapq
import itertools
from collections.abc import Iterator
from contextlib import closing

import pytest

from opdex.embedding.ollama import OllamaEmbedder
from opdex.indexing.deadline import Deadline
from opdex.indexing.worker import Worker
from opdex.jobs.sweep import sweep
from opdex.jobs.wakeups import WakeUp
from opdex.settings import EmbedSettings
from tests.faults.clock import Clock
from tests.integration.engine import Engine, things
from tests.ollama_server import Failure, OllamaServer

_HOUR = 3600.0
_SPECS = 5
_TEXTS = 8
# With a cool-down that doubles from 5 s to 5 minutes: 6 in the first 5 minutes, then 12 an hour, and a little.
_MOST_CALLS_IN_TWO_HOURS = 35

_OUTAGES = {
    "throttled": Failure("status", 429),
    "away": Failure("status", 503),
    "cut off": Failure("cut"),
}


class Simulation:
    """One worker, its queue and its provider on the tests' clock: it jumps to whatever is due next."""

    def __init__(self, engine: Engine, clock: Clock, provider: OllamaServer, embedder: OllamaEmbedder) -> None:
        settings = EmbedSettings(
            database_url=engine.settings.database_url,
            embed_queue_url="unused",
            embedding_provider="ollama",
            embedding_url=provider.url,
        )
        self.engine, self.clock, self.provider = engine, clock, provider
        self._worker = Worker(settings, engine.database, embedder, self)
        self._due: list[tuple[float, int, WakeUp]] = []
        self._numbers = itertools.count()

    def send(self, wake_up: WakeUp, delay_seconds: float = 0) -> None:
        """Take a message, as SQS does."""
        heapq.heappush(self._due, (self.clock.passed + min(900.0, delay_seconds), next(self._numbers), wake_up))

    def upload(self, specs: int = _SPECS) -> list[int]:
        """Store some specs, and return their jobs."""
        jobs = [self.engine.job_id(f"spec-{number}", things(_TEXTS, f"thing {number}")) for number in range(specs)]
        for job_id in jobs:
            self.send(WakeUp(job_id=job_id))
        return jobs

    def sweep(self) -> None:
        """Make one pass of the sweep."""
        sweep(self.engine.database, self, self.engine.embedder.identity, workers=1, max_attempts=5, retention_days=14)

    def run(self, until: float) -> None:
        """Deliver every message that is due before so many seconds have passed, each when its time has come."""
        while self._due and self._due[0][0] <= until:
            at, _, wake_up = heapq.heappop(self._due)
            self.clock.advance(max(0.0, at - self.clock.passed))
            self._worker.handle(wake_up, Deadline(lambda: 60_000))
        self.clock.advance(max(0.0, until - self.clock.passed))

    def states(self) -> list[tuple[str, int]]:
        return [(row["status"], row["attempts"]) for row in self.engine.sql("SELECT status, attempts FROM jobs")]


@pytest.fixture
def simulation(database_url: str) -> Iterator[Simulation]:
    with (
        closing(Clock(database_url)) as clock,
        closing(Engine(database_url)) as engine,
        OllamaServer() as provider,
        closing(OllamaEmbedder(provider.url)) as embedder,
    ):
        engine.embedder.provider, engine.embedder.model = embedder.identity.provider, embedder.identity.model
        yield Simulation(engine, clock, provider, embedder)


@pytest.mark.parametrize("outage", _OUTAGES)
def test_no_attempt_is_spent_when_the_provider_fails_for_two_hours(simulation: Simulation, outage: str) -> None:
    simulation.provider.outage = _OUTAGES[outage]
    jobs = simulation.upload()

    simulation.run(until=2 * _HOUR)

    assert set(simulation.states()) <= {("pending", 0), ("pending", 1)}
    calls = len(simulation.provider.calls)
    assert 20 <= calls <= _MOST_CALLS_IN_TWO_HOURS

    simulation.provider.outage = None
    simulation.run(until=2 * _HOUR + 600)

    assert simulation.states() == [("succeeded", 1)] * len(jobs)
    assert len(simulation.provider.texts) == len(set(simulation.provider.texts)) == _SPECS * _TEXTS


def test_job_is_parked_as_unavailable_and_returns_when_the_provider_was_away_for_a_day(simulation: Simulation) -> None:
    simulation.provider.outage = _OUTAGES["away"]
    simulation.upload(specs=2)

    simulation.run(until=23.9 * _HOUR)
    assert simulation.states() == [("pending", 1)] * 2
    simulation.run(until=24.5 * _HOUR)

    failed = simulation.engine.sql("SELECT error_code, next_try_at IS NOT NULL AS is_parked FROM jobs")
    assert failed == [{"error_code": "provider_unavailable", "is_parked": True}] * 2
    assert simulation.states() == [("failed", 1)] * 2

    simulation.provider.outage = None
    simulation.clock.advance(_HOUR)
    simulation.sweep()
    simulation.run(until=simulation.clock.passed + 60)

    succeeded = simulation.engine.sql("SELECT spec_name FROM jobs WHERE status = 'succeeded' AND attempts = 1")
    assert len(succeeded) == 2


def test_provider_is_not_called_before_the_time_that_it_asks_for(simulation: Simulation) -> None:
    simulation.provider.outage = Failure("status", 429, retry_after="1800")
    simulation.upload()

    simulation.run(until=2 * _HOUR - 1)

    assert len(simulation.provider.calls) <= 4 * 2  # as many as are in flight when it says so
    assert set(simulation.states()) <= {("pending", 0), ("pending", 1)}
