"""The job engine as a queue: jobs a second where nothing is to be embedded, and how long a job waits for its claim.

Beside procrastinate and pgqueuer, on the same server in the same run.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import product
from queue import SimpleQueue
from statistics import median, quantiles

import pytest

from opdex.database import Database
from opdex.indexing.deadline import Deadline
from opdex.indexing.worker import Worker
from opdex.jobs.enqueue import reembed
from opdex.jobs.wakeups import WakeUp
from opdex.settings import EmbedSettings
from tests.benchmarks import drain
from tests.benchmarks.figures import Record
from tests.benchmarks.rivals import LatencyFigures, QueueFigures, claim_latency, queue_throughput
from tests.benchmarks.uploads import Uploads
from tests.integration.engine import CATALOG, Engine
from tests.migrated_server import MigratedServer

_ROUNDS = 3
_JOBS = 1_000  # as many as the others are given
_CLAIMS = 200
_DRAINS = {"claim and finish": drain.by_the_store, "the whole worker": drain.by_the_worker}
# Like beside like. pgqueuer's calls are faster than its worker on psycopg, which listens on the same connection.
_BOUNDS: dict[str, Callable[[Mapping[str, float]], float]] = {
    "claim and finish": lambda beside: max(_of(library, "calls", beside) for library in ("procrastinate", "pgqueuer")),
    "the whole worker": lambda beside: max(
        4 * _of("procrastinate", "worker", beside), _of("pgqueuer", "calls", beside)
    ),
}


@pytest.mark.timeout(600)
def test_throughput(database_url: str, postgres: MigratedServer, uploads: Uploads, record: Record) -> None:
    drain.add_jobs(uploads, "warm", 100)
    drain.jobs_a_second(drain.by_the_worker, database_url, 1, 100)
    ours: dict[tuple[str, int], list[float]] = {key: [] for key in product(_DRAINS, (1, 4))}
    theirs: list[QueueFigures] = []
    floors: dict[int, list[float]] = {1: [], 4: []}
    for round_number in range(_ROUNDS):
        for (how, connections), rates in ours.items():
            drain.add_jobs(uploads, f"{how[:3]}-{connections}-{round_number}".replace(" ", ""), _JOBS)
            rates.append(drain.jobs_a_second(_DRAINS[how], database_url, connections, _JOBS))
        for connections, rates in floors.items():
            drain.add_jobs(uploads, f"floor-{connections}-{round_number}", _JOBS)
            rates.append(drain.jobs_a_second(drain.by_key, database_url, connections, _JOBS))
        theirs += queue_throughput(postgres.maintenance_url)
    for (how, connections), rates in ours.items():
        beside = _medians([other for other in theirs if other.connections == connections])
        times = {name: round(median(rates) / rate, 2) for name, rate in beside.items()}
        record(
            f"jobs without operations, {how}, {connections} connection{'s' * (connections > 1)}",
            median(rates),
            "a second",
            at_least=_BOUNDS[how](beside),
            beside={**beside, "two updates by key": round(median(floors[connections]))},
            rounds=[round(rate) for rate in rates],
            times=times,
        )


def _medians(figures: Sequence[QueueFigures]) -> dict[str, float]:
    rates: dict[str, list[float]] = {}
    for figure in figures:
        rates.setdefault(f"{_name(figure)}, its {figure.how}", []).append(figure.jobs_per_second)
    return {name: round(median(values)) for name, values in rates.items()}


def _name(figure: QueueFigures | LatencyFigures) -> str:
    return f"{figure.library} {figure.version} on {figure.driver}"


def _of(library: str, how: str, beside: Mapping[str, float]) -> float:
    return next(
        rate for name, rate in beside.items() if name.startswith(library) and name.endswith(f"on psycopg, its {how}")
    )


def test_claim_latency(engine: Engine, postgres: MigratedServer, record: Record) -> None:
    """From before a re-embed is enqueued until its claim is committed, by a warm worker that waits for wake-ups."""
    engine.upload("spec", ["one operation"])
    waits = []
    with _waiting_worker(engine) as worker:
        worker.wake(0)
        for _ in range(_CLAIMS):
            began = time.monotonic()
            with engine.database.transaction() as c:
                job_id = reembed(c, CATALOG, "spec").job_id
            waits.append((worker.wake(job_id) - began) * 1000)
    percentiles = quantiles(waits, n=20)
    theirs = claim_latency(postgres.maintenance_url)
    for named, value, attribute in (("p50", percentiles[9], "p50_ms"), ("p95", percentiles[18], "p95_ms")):
        beside = {_name(other): round(getattr(other, attribute), 2) for other in theirs}
        record(f"enqueue to claim, {named}", value, "ms", beside=beside)


class _WaitingWorker:
    """A worker that handles wake-ups from a queue in memory, in a thread of its own."""

    def __init__(self, settings: EmbedSettings, engine: Engine) -> None:
        self.database = Database(settings)
        engine.embedder.script = lambda texts: self._claimed.append(time.monotonic())
        self._worker = Worker(settings, self.database, engine.embedder, self)
        self._wake_ups: SimpleQueue[WakeUp | None] = SimpleQueue()
        self._handled: SimpleQueue[None] = SimpleQueue()
        self._claimed: list[float] = []

    def send(self, wake_up: WakeUp, delay_seconds: float = 0) -> None:
        """Take the wake-up of a claim's lease, which is sent once the claim is committed."""
        self._claimed.append(time.monotonic())

    def wake(self, job_id: int) -> float:
        """Let a job be worked off, and return the moment when its claim showed: by a call or by a wake-up."""
        self._claimed.clear()
        self._wake_ups.put(WakeUp(job_id=job_id))
        self._handled.get(timeout=10)
        return min(self._claimed)

    def stop(self) -> None:
        """Let the thread end."""
        self._wake_ups.put(None)

    def work(self) -> None:
        """Handle what comes until stopped."""
        while (wake_up := self._wake_ups.get()) is not None:
            self._worker.handle(wake_up, Deadline(lambda: 60_000))
            self._handled.put(None)


@contextmanager
def _waiting_worker(engine: Engine) -> Iterator[_WaitingWorker]:
    worker = _WaitingWorker(EmbedSettings(database_url=engine.settings.database_url, embed_queue_url="unused"), engine)
    thread = threading.Thread(target=worker.work)
    thread.start()
    try:
        yield worker
    finally:
        worker.stop()
        thread.join()
        worker.database.close()
