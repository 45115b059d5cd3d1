"""What every test here is played on: Postgres with the journal, the provider, the queue, and worker processes."""

import contextlib
import itertools
import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import psycopg
from psycopg.rows import DictRow, dict_row
from pydantic import SecretStr

from local.postgres import EmbeddedPostgres
from opdex.catalog.store import create_catalog
from opdex.catalog.upload import store_document
from opdex.database import Connection, Database
from opdex.embedding import ModelIdentity
from opdex.embedding.ollama import OllamaEmbedder
from opdex.errors import CatalogExists, QueueUnavailable
from opdex.indexing.deadline import Deadline
from opdex.indexing.slice import SliceResult
from opdex.indexing.worker import Worker
from opdex.jobs.wakeups import WakeUp
from opdex.migrations import migrate
from opdex.openapi import describe
from opdex.settings import DatabaseSettings
from tests.faults.invariants import CALLS_IN_FLIGHT, JOURNAL, broken
from tests.faults.queue import FaultyQueue
from tests.faults.worker import Assignment, FaultyDatabase, signed, work
from tests.integration.engine import document, wait_until
from tests.ollama_server import MODEL, Call, OllamaServer

_MIGRATIONS = Path(__file__).parents[2] / "migrations"
# Already has what a worker imports: a new one is there within milliseconds.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["tests.faults.worker"])

SECONDS_PER_TEXT = 0.015
_SECOND_WAKE_UP_SECONDS = 45
# A server that answers about as late as the client gives up: nobody can say which of the two was first.
_CLOSE_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Timing:
    """How long leases, invocations and delays are, in seconds."""

    lease: float = 2.0
    heartbeat: float = 0.5
    longest_delay: float = 3.0
    invocation: float = 6.0
    call_timeout: float = 2.0


# A run under short leases sees more of them lost.
SHORT = Timing()


class ClientDatabase(Database):
    """Database access that tells the journal whose it is."""

    def __init__(self, url: str, name: str) -> None:
        super().__init__(DatabaseSettings(database_url=SecretStr(url)))
        self._name = name

    def connect(self) -> Connection:
        return signed(super().connect(), self._name)


@dataclass(frozen=True, slots=True)
class WorkerHere:
    """A worker in the test's own process."""

    worker: Worker
    database: FaultyDatabase

    def handle(self, wake_up: WakeUp, seconds: float = 30) -> list[SliceResult]:
        """Handle one wake-up in an invocation of that many seconds."""
        ends_at = time.monotonic() + seconds
        return self.worker.handle(wake_up, Deadline(lambda: int((ends_at - time.monotonic()) * 1000)))

    def serve(self, queue: FaultyQueue, until: Callable[[], bool], seconds: float = 10) -> None:
        """Handle what the queue delivers, until then. Raises AssertionError where that takes too long."""

        def condition() -> bool:
            if until():
                return True
            message = queue.receive()
            if message["body"] is not None:
                self.handle(WakeUp.parse(message["body"]))
                queue.settle(message["receipt"])
            return False

        wait_until(condition, seconds)


class Stage:
    """Everything together, as a context manager; leaving it ends every process."""

    def __init__(self, folder: Path, *, seed: int = 0, workers: int = 0, timing: Timing = SHORT, **queue: Any) -> None:
        self.postgres = EmbeddedPostgres(folder, durable=False)
        self.provider = OllamaServer(base_seconds=0.03, seconds_per_text=SECONDS_PER_TEXT)
        times = {
            "longest_delay": timing.longest_delay,
            "visibility_seconds": 6 * timing.invocation,
            "invocation_seconds": timing.invocation,
        }
        self.queue = FaultyQueue(seed, **{**times, **queue})
        self.workers: list[tuple[Assignment, BaseProcess]] = []
        self.timing = timing
        self._wanted = workers
        self._numbers = itertools.count(1)
        self._kills: list[tuple[str, int, UUID, float]] = []
        self._frozen: set[str] = set()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with self._stack as stack:
            stack.enter_context(self.postgres)
            with psycopg.connect(self.postgres.url(), row_factory=dict_row) as connection:
                migrate(connection, _MIGRATIONS)
                connection.execute(JOURNAL)
            stack.enter_context(self.provider)
            stack.enter_context(self.queue)
            stack.callback(self.end_workers)
            self.clients = ClientDatabase(self.postgres.url(), "clients")
            stack.callback(self.clients.close)
            self.clock = ClientDatabase(self.postgres.url(), "clock")
            stack.callback(self.clock.close)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    # Workers.

    def assignment(self, kind: str = "worker", **faults: Any) -> Assignment:
        name = f"{kind}-{next(self._numbers)}"
        values: dict[str, Any] = {
            "name": name,
            "queue_port": self.queue.port,
            "database_url": self.postgres.url(),
            "embedding_url": f"{self.provider.url}/{name}",
            "lease_seconds": self.timing.lease,
            "heartbeat_seconds": self.timing.heartbeat,
            "call_timeout_seconds": self.timing.call_timeout,
            "calls_in_flight": CALLS_IN_FLIGHT,
        }
        return Assignment(**{**values, **faults})

    def start_workers(self, assign: Callable[[], Assignment] | None = None) -> int:
        """Replace the workers that have died; returns how many had."""
        died = [worker for worker in self.workers if not worker[1].is_alive()]
        for worker in died:
            self.workers.remove(worker)
            worker[1].join()
        while len(self.workers) < self._wanted:
            self.start_worker((assign or self.assignment)())
        return len(died)

    def start_worker(self, assignment: Assignment) -> BaseProcess:
        """Start one more worker, which is ended with the others."""
        self.workers.append((assignment, self.start(work, assignment)))
        return self.workers[-1][1]

    def start(self, target: Callable[..., None], *values: object) -> BaseProcess:
        """Start a process."""
        process = _PROCESSES.Process(target=target, args=values, daemon=True)
        process.start()
        return process

    def end_workers(self) -> None:
        for _, process in self.workers:
            process.kill()
            process.join()
        self.workers.clear()

    @contextmanager
    def worker_here(self) -> Iterator["WorkerHere"]:
        """Offer a worker in this process."""
        assignment = self.assignment()
        embedder = OllamaEmbedder(assignment.embedding_url)
        with closing(FaultyDatabase(assignment)) as database, closing(embedder):
            yield WorkerHere(Worker(assignment.settings(), database, embedder, self.queue), database)

    # What clients do.

    def upload(self, catalog_id: str, spec_name: str, summaries: list[str]) -> int | None:
        """Store a document as the HTTP route does, and return the job that it opened or found."""
        raw = document(summaries)
        with contextlib.suppress(CatalogExists), self.clients.transaction() as c:
            create_catalog(c, id=catalog_id, name=catalog_id, version="1")
        with self.clients.transaction() as c:
            identity = ModelIdentity("ollama", MODEL)
            stored = store_document(c, catalog_id, spec_name, raw, describe(raw), "upload", None, identity)
        self.wake(stored.job_id)
        return stored.job_id

    def open_job(self, spec_name: str, summaries: list[str]) -> int:
        """Store a document that needs a job, and return the job."""
        job_id = self.upload("catalog", spec_name, summaries)
        assert job_id is not None
        return job_id

    def wake(self, job_id: int | None) -> None:
        if job_id is not None:
            with contextlib.suppress(QueueUnavailable):  # the API logs it and goes on
                self.queue.send(WakeUp(job_id=job_id))
                self.queue.send(WakeUp(job_id=job_id), _SECOND_WAKE_UP_SECONDS)

    # What the harness sees and does.

    @contextmanager
    def sql(self) -> Iterator[psycopg.Connection[DictRow]]:
        """Open a connection of the test's own."""
        with psycopg.connect(
            self.postgres.url(), autocommit=True, row_factory=dict_row, application_name="clock", connect_timeout=5
        ) as connection:
            yield connection

    def wait_for(self, condition: str, *values: object, seconds: float = 30) -> None:
        """Return as soon as a job meets the condition. Raises AssertionError where none does in time."""
        with self.sql() as c:
            query = f"SELECT FROM jobs WHERE {condition} LIMIT 1".encode()
            wait_until(lambda: c.execute(query, values).fetchone() is not None, seconds)

    def wait_for_end(self, seconds: float = 60) -> None:
        """Return as soon as no job is open. Raises AssertionError where one still is then."""
        with self.sql() as c:
            query = "SELECT FROM jobs WHERE status IN ('pending', 'running') LIMIT 1"
            wait_until(lambda: c.execute(query).fetchone() is None, seconds)

    def pass_time(self) -> None:
        """Let what waits for its time have it: backoffs, cool-downs and parkings are over at once."""
        with self.clock.transaction() as c:
            c.execute("UPDATE cool_downs SET until = now() WHERE until > now()")
            c.execute("UPDATE jobs SET ready_at = now() WHERE id IN (SELECT id FROM jobs WHERE status = 'pending'"
                      " AND ready_at > now() ORDER BY id FOR UPDATE SKIP LOCKED)")  # fmt: skip

    def kill(self, assignment: Assignment, process: BaseProcess) -> bool:
        """Kill a worker, and return whether it held a job, which the journal then knows."""
        process.kill()
        process.join()
        with self.sql() as c:
            held = c.execute(
                "SELECT j.id, j.lease_token, extract(epoch FROM clock_timestamp())::float8 AS now FROM jobs j"
                " WHERE status = 'running' AND %s = (SELECT who FROM fault_journal f WHERE f.job_id = j.id"
                " AND f.lease_token = j.lease_token ORDER BY seq LIMIT 1)",
                [assignment.name],
            ).fetchall()
        self._kills += [(assignment.name, row["id"], row["lease_token"], row["now"]) for row in held]
        return bool(held)

    def froze(self, assignment: Assignment) -> None:
        """Note that a worker was frozen: its calls may have timed out without the provider's doing."""
        self._frozen.add(assignment.name)

    def broken(self) -> list[str]:
        """Write down what the harness knows, and return a line for each invariant that does not hold."""
        ahead = time.time() - time.monotonic()
        with self.sql() as c, c.transaction(), c.cursor() as cursor:
            cursor.execute("TRUNCATE fault_kills, fault_freezes, fault_calls")
            cursor.executemany("INSERT INTO fault_kills VALUES (%s, %s, %s, to_timestamp(%s))", self._kills)
            cursor.executemany("INSERT INTO fault_freezes VALUES (%s)", [(name,) for name in self._frozen])
            cursor.executemany(
                "INSERT INTO fault_calls VALUES (%s, to_timestamp(%s), to_timestamp(%s), %s, %s)",
                [
                    (call.caller, call.started + ahead, call.ended + ahead, self.verdict(call), list(call.texts))
                    for call in self.provider.calls
                ],
            )
            return list(broken(c))

    def verdict(self, call: Call) -> str:
        """Say what a call was to its caller: good, away (which spends no attempt), failed (which does) or slow.

        Whether a text that took a call's whole time alone is a failure is up to the provider's probe in that moment.
        """
        if call.ended - call.started > self.timing.call_timeout - _CLOSE_SECONDS:
            return "slow" if len(call.texts) == 1 else "away"
        if call.failure is not None and call.failure.kind not in ("status", "hang", "cut"):
            return "failed"
        if call.status == 200:
            return "good"
        return "away" if call.status in (None, 429, 502, 503, 504) else "failed"
