"""One seeded run: clients at work, everything failing at random, then a quiet time, then the invariants."""

import contextlib
import itertools
import multiprocessing
import os
import signal
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Self

import psycopg
from psycopg.rows import dict_row
from pydantic import SecretStr

from local.postgres import EmbeddedPostgres
from opdex.catalog.store import create_catalog, delete_catalog, delete_spec
from opdex.catalog.upload import store_document
from opdex.database import Connection, Database
from opdex.embedding import ModelIdentity
from opdex.errors import CatalogExists, OpdexError, QueueUnavailable
from opdex.jobs.enqueue import cancel, reembed, retry_failed
from opdex.jobs.wakeups import WakeUp
from opdex.migrations import migrate
from opdex.openapi import describe
from opdex.settings import DatabaseSettings
from tests.faults.faults import Dice
from tests.faults.invariants import JOURNAL, broken
from tests.faults.queue import CALM, FaultyQueue
from tests.faults.worker import Assignment, signed, sweep_once, work
from tests.integration.engine import document, wait_until
from tests.ollama_server import MODEL, OllamaServer

_MIGRATIONS = Path(__file__).parents[2] / "migrations"
# Already has what a worker imports: a new one is there within milliseconds.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["tests.faults.worker"])

_FREEZE_SECONDS = 3.5
_TIME_PASSES_EVERY_SECONDS = 0.7  # cool-downs and backoffs are long, runs are short
TEXTS_A_CALL, CALLS_IN_FLIGHT = 32, 2
_PAUSE_SECONDS = 0.25
_SECONDS_PER_TEXT = 0.015
_CATALOGS, _SPECS = ("north", "south", "east"), 60
_QUIET_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class Timing:
    """How long leases, invocations and delays are, in seconds."""

    lease: float
    heartbeat: float
    longest_delay: float
    invocation: float
    call_timeout: float


# A run under short leases sees more of them lost.
SHORT = Timing(lease=2.0, heartbeat=0.5, longest_delay=3.0, invocation=6.0, call_timeout=2.0)
# What the template sets, and SQS takes.
TEMPLATE = Timing(lease=30.0, heartbeat=8.0, longest_delay=900.0, invocation=300.0, call_timeout=120.0)


@dataclass
class Figures:
    """What a run did and found."""

    seed: int
    seconds: float = 0.0
    jobs: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    publications: int = 0
    kills: int = 0
    kills_with_lease: int = 0
    freezes: int = 0
    leases_lost: int = 0
    postgres_stops: int = 0
    connections_cut: int = 0
    messages: int = 0
    messages_lost: int = 0
    calls: int = 0
    calls_failed: int = 0
    texts_sent_again: int = 0
    recovery_p50: float = 0.0
    recovery_p95: float = 0.0
    recovery_max: float = 0.0
    quiet_seconds: float = 0.0
    lost: int = 0
    duplicated: int = 0
    stuck: int = 0
    wrong_vectors: int = 0
    acts: dict[str, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)


class ClientDatabase(Database):
    """Database access that tells the journal whose it is."""

    def __init__(self, url: str, name: str) -> None:
        super().__init__(DatabaseSettings(database_url=SecretStr(url)))
        self._name = name

    def connect(self) -> Connection:
        return signed(super().connect(), self._name)


class Stage:
    """Everything that a run is played on: Postgres, provider, queue, and worker processes."""

    def __init__(self, folder: Path, seed: int, workers: int, timing: Timing = SHORT) -> None:
        self.postgres = EmbeddedPostgres(folder, durable=False)
        self.provider = OllamaServer(base_seconds=0.03, seconds_per_text=_SECONDS_PER_TEXT)
        self.queue = FaultyQueue(
            seed,
            longest_delay=timing.longest_delay,
            visibility_seconds=6 * timing.invocation,
            invocation_seconds=timing.invocation,
        )
        self.workers: list[tuple[Assignment, BaseProcess]] = []
        self._wanted = workers
        self._timing = timing
        self._numbers = itertools.count(1)
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

    def assignment(self, kind: str = "worker", **faults: Any) -> Assignment:
        return Assignment(
            name=f"{kind}-{next(self._numbers)}",
            queue_port=self.queue.port,
            database_url=self.postgres.url(),
            embedding_url=self.provider.url,
            lease_seconds=self._timing.lease,
            heartbeat_seconds=self._timing.heartbeat,
            call_timeout_seconds=self._timing.call_timeout,
            calls_in_flight=CALLS_IN_FLIGHT,
            **faults,
        )

    def start_workers(self, assign: Callable[[], Assignment] | None = None) -> int:
        """Replace the workers that have died; returns how many had."""
        died = [worker for worker in self.workers if not worker[1].is_alive()]
        for worker in died:
            self.workers.remove(worker)
            worker[1].join()
        while len(self.workers) < self._wanted:
            assignment = (assign or self.assignment)()
            self.workers.append((assignment, self.start(work, assignment)))
        return len(died)

    def start(self, target: Callable[..., None], *values: object) -> BaseProcess:
        process = _PROCESSES.Process(target=target, args=values, daemon=True)
        process.start()
        return process

    def end_workers(self) -> None:
        for _, process in self.workers:
            process.kill()
            process.join()
        self.workers.clear()

    @contextmanager
    def sql(self) -> Iterator[psycopg.Connection[psycopg.rows.DictRow]]:
        """Open a connection of the test's own."""
        with psycopg.connect(
            self.postgres.url(), autocommit=True, row_factory=dict_row, application_name="clock", connect_timeout=5
        ) as connection:
            yield connection

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

    def wake(self, job_id: int | None) -> None:
        if job_id is not None:
            with contextlib.suppress(QueueUnavailable):  # the API logs it and goes on
                self.queue.send(WakeUp(job_id=job_id))

    def pass_time(self) -> None:
        """Let what waits for its time have it: backoffs, cool-downs and parkings are over at once."""
        with self.clock.transaction() as c:
            c.execute("UPDATE cool_downs SET until = now() WHERE until > now()")
            c.execute("UPDATE jobs SET ready_at = now() WHERE id IN (SELECT id FROM jobs WHERE status = 'pending'"
                      " AND ready_at > now() ORDER BY id FOR UPDATE SKIP LOCKED)")  # fmt: skip


class Run:
    """Plays one run. The seed decides what happens; when exactly it hits is up to the machine."""

    def __init__(self, folder: Path, seed: int, seconds: float, workers: int = 3) -> None:
        self.dice = Dice(seed)
        self.figures = Figures(seed)
        self.stage = Stage(folder, seed, workers)
        self._seconds = seconds
        self._undo: list[tuple[float, Callable[[], None]]] = []
        self._sweeps: list[BaseProcess] = []
        self._frozen: set[int] = set()
        self._time_passed = 0.0
        self._locks: list[threading.Thread] = []
        self._killed: list[tuple[int, float]] = []  # jobs whose worker was killed, and when by the database's clock
        self._versions = itertools.count(1)

    def play(self) -> Figures:
        """Run it, and return the figures; ``broken`` is empty where everything held."""
        began = time.monotonic()
        with self.stage:
            self._warm_up()
            began = time.monotonic()
            for act in self.dice.acts():
                if time.monotonic() - began > self._seconds:
                    break
                self._act(act)
                pause = self.dice.seconds(0.2, 1.8) * _PAUSE_SECONDS
                self._tidy(until=time.monotonic() + pause)
            self._end_faults()
            self._wait_for_quiet()
            self._count()
        self.figures.seconds = round(time.monotonic() - began, 1)
        return self.figures

    def _warm_up(self) -> None:
        """Let the model's first vector be written: it settles the dimension, before anything answers a wrong one."""
        self.stage.start_workers()
        job_id = self.stage.upload("warm", "warm", ["first thing"])
        with self.stage.sql() as c:
            query = "SELECT FROM jobs WHERE id = %s AND status = 'succeeded'"
            wait_until(lambda: c.execute(query, [job_id]).fetchone() is not None, 30)
        self.stage.end_workers()
        self.stage.start_workers(self._assign)

    def _act(self, name: str) -> None:
        self.figures.acts[name] = self.figures.acts.get(name, 0) + 1
        # A client that meets a fault is told so; what it asked for has not happened, or has as a whole.
        with contextlib.suppress(OpdexError, psycopg.Error):
            getattr(self, f"_{name}")()

    def _assign(self) -> Assignment:
        # One worker in three dies at a statement of its own, or has something wrong with it.
        kind = self.dice.random.randrange(9)
        seed = self.dice.random.randrange(2**32)
        if kind == 0:
            return self.stage.assignment(dies_at_statement=self.dice.random.randint(2, 150), seed=seed)
        if kind == 1:
            return self.stage.assignment(heartbeat_fails=True, seed=seed)
        if kind == 2:
            return self.stage.assignment(refused_share=0.03, seed=seed)
        return self.stage.assignment(seed=seed)

    def _tidy(self, until: float) -> None:
        """End what has had its time, and replace the dead, until then."""
        while True:
            now = time.monotonic()
            if now - self._time_passed > _TIME_PASSES_EVERY_SECONDS:
                self._time_passed = now
                with contextlib.suppress(OpdexError):  # the database may be away
                    self.stage.pass_time()
            for due in [due for due in self._undo if due[0] <= now]:
                self._undo.remove(due)
                due[1]()
            self._sweeps = [sweep for sweep in self._sweeps if sweep.is_alive()]
            died = self.stage.start_workers(self._assign)
            self.figures.kills += died
            if now >= until:
                return
            time.sleep(min(0.05, until - now))

    def _later(self, seconds: float, undo: Callable[[], None]) -> None:
        self._undo.append((time.monotonic() + seconds, undo))

    # What clients do.

    def _spec(self) -> tuple[str, str]:
        return self.dice.random.choice(_CATALOGS), f"spec-{self.dice.random.randrange(_SPECS)}"

    def _texts(self, subject: str) -> list[str]:
        version = next(self._versions)
        count = self.dice.random.choice((1, 3, 10, 40, 120))
        unchanged = self.dice.random.randint(0, count)
        return [f"{subject} thing {n} in version {0 if n < unchanged else version}" for n in range(count)]

    def _upload(self) -> None:
        for _ in range(self.dice.random.randint(2, 6)):
            catalog_id, spec_name = self._spec()
            self.stage.upload(catalog_id, spec_name, self._texts(f"{catalog_id} {spec_name}"))

    def _upload_twins(self) -> None:
        texts = self._texts("twin")
        name = f"spec-{self.dice.random.randrange(_SPECS)}"
        for catalog_id in _CATALOGS:
            self.stage.upload(catalog_id, name, texts)

    def _cancel(self) -> None:
        with self.stage.clients.transaction() as c:
            rows = c.execute("SELECT id FROM jobs WHERE status IN ('pending', 'running') ORDER BY id").fetchall()
            if rows:
                cancel(c, self.dice.random.choice(rows)["id"])

    def _reembed(self) -> None:
        with self.stage.clients.transaction() as c:
            enqueued = reembed(c, *self._spec())
        self.stage.wake(enqueued.job_id)

    def _retry_failed(self) -> None:
        for catalog_id in _CATALOGS:
            with self.stage.clients.transaction() as c:
                opened = retry_failed(c, catalog_id)
            for enqueued in opened:
                self.stage.wake(enqueued.job_id)

    def _delete_spec(self) -> None:
        with self.stage.clients.transaction() as c:
            delete_spec(c, *self._spec())

    def _delete_catalog(self) -> None:
        with self.stage.clients.transaction() as c:
            delete_catalog(c, self.dice.random.choice(_CATALOGS))

    # What happens to workers.

    def _kill(self) -> None:
        assignment, process = self.dice.random.choice(self.stage.workers)
        process.kill()
        process.join()
        with self.stage.sql() as c:
            held = c.execute(
                "SELECT j.id, extract(epoch FROM clock_timestamp())::float8 AS now FROM jobs j"
                " WHERE status = 'running' AND %s = (SELECT who FROM fault_journal f WHERE f.job_id = j.id"
                " AND f.lease_token = j.lease_token ORDER BY seq LIMIT 1)",
                [assignment.name],
            ).fetchall()
        self._killed += [(row["id"], row["now"]) for row in held]

    def _freeze(self) -> None:
        _, process = self.dice.random.choice(self.stage.workers)
        pid = process.pid
        if pid is None or pid in self._frozen:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            self._frozen.add(pid)
            self.figures.freezes += 1
            self._later(_FREEZE_SECONDS, lambda: self._thaw(pid))

    def _thaw(self, pid: int) -> None:
        self._frozen.discard(pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    # To the database.

    def _cut_connections(self) -> None:
        with self.stage.sql() as c:
            cut = c.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name LIKE 'worker%' AND random() < 0.7"
            ).fetchall()
        self.figures.connections_cut += len(cut)

    def _kill_postgres(self) -> None:
        if (pid := self.stage.postgres.pid) is not None:
            os.kill(pid, signal.SIGKILL)
            self.figures.postgres_stops += 1
            time.sleep(self.dice.seconds(0, 1))  # it is away for a while
            self.stage.postgres.stop()
            self.stage.postgres.start()

    def _restart_postgres(self) -> None:
        self.stage.postgres.stop()
        self.figures.postgres_stops += 1
        time.sleep(self.dice.seconds(0, 1))
        self.stage.postgres.start()

    def _hold_lock(self) -> None:
        table = self.dice.random.choice(("jobs", "specs", "vectors", "cool_downs"))
        lock = f"SELECT FROM {table} ORDER BY random() LIMIT 20 FOR UPDATE SKIP LOCKED"
        seconds = self.dice.seconds(0.5, 3.0)

        def hold() -> None:
            with contextlib.suppress(psycopg.Error), self.stage.sql() as c, c.transaction():
                c.execute(lock.encode())
                c.execute("SELECT pg_sleep(%s)", [seconds])

        self._locks.append(threading.Thread(target=hold, name="lock"))
        self._locks[-1].start()

    # To the provider.

    def _fail_calls(self) -> None:
        self.stage.provider.fail(*self.dice.failures())

    def _provider_away(self) -> None:
        self.stage.provider.outage = self.dice.outage()
        self._later(self.dice.seconds(0.5, 2.0), self._provider_back)

    def _provider_back(self) -> None:
        self.stage.provider.outage = None

    def _provider_slow(self) -> None:
        self.stage.provider.seconds_per_text = self.dice.random.choice((0.0, 0.05, 0.1))
        self._later(self.dice.seconds(1.0, 3.0), self._provider_fast)

    def _provider_fast(self) -> None:
        self.stage.provider.seconds_per_text = _SECONDS_PER_TEXT

    # To the queue.

    def _change_mood(self) -> None:
        self.stage.queue.mood = self.dice.mood()

    def _junk_message(self) -> None:
        self.stage.queue.put(
            self.dice.random.choice(("no JSON", '{"version": 2, "job_id": 1}', "[]", '{"job_id": "x"}'))
        )

    # Repair.

    def _sweep(self) -> BaseProcess:
        sweep = self.stage.start(sweep_once, self.stage.assignment("sweep"), len(self.stage.workers))
        self._sweeps.append(sweep)
        return sweep

    def _two_sweeps(self) -> None:
        self._sweep()
        self._sweep()

    def _killed_sweep(self) -> None:
        dies_at = self.dice.random.randint(2, 25)
        assignment = self.stage.assignment("sweep", dies_at_statement=dies_at)
        self._sweeps.append(self.stage.start(sweep_once, assignment, len(self.stage.workers)))

    def _pass_time(self) -> None:
        self.stage.pass_time()

    # The end.

    def _end_faults(self) -> None:
        for _, undo in self._undo:
            undo()
        self._undo.clear()
        for lock in self._locks:
            lock.join()
        for pid in list(self._frozen):
            self._thaw(pid)
        self.stage.provider.outage = None
        self.stage.queue.mood = CALM
        self.stage.end_workers()
        self.stage.start_workers()

    def _wait_for_quiet(self) -> None:
        """Sweep until no job is open and none has failed for what no longer is."""
        began = time.monotonic()
        while time.monotonic() - began < _QUIET_SECONDS:
            sweep = self._sweep()
            sweep.join()
            self.stage.pass_time()
            self._retry_failed_safely()
            with self.stage.sql() as c:
                row = c.execute(
                    "SELECT (SELECT count(*) FROM jobs WHERE status IN ('pending', 'running')) AS open,"
                    " (SELECT count(*) FROM specs s WHERE published_revision IS DISTINCT FROM current_revision AND"
                    " 'cancelled' <> (SELECT status FROM jobs WHERE spec_id = s.id ORDER BY id DESC LIMIT 1)) AS due"
                ).fetchone()
            if row == {"open": 0, "due": 0}:
                break
            time.sleep(0.2)
        self.figures.quiet_seconds = round(time.monotonic() - began, 2)

    def _retry_failed_safely(self) -> None:
        with contextlib.suppress(OpdexError):
            self._retry_failed()

    def _count(self) -> None:
        figures, stage = self.figures, self.stage
        with stage.sql() as c:
            found = list(broken(c))
            counted = c.execute(
                "SELECT count(*) AS jobs, count(*) FILTER (WHERE status = 'succeeded') AS succeeded,"
                " count(*) FILTER (WHERE status = 'failed') AS failed,"
                " count(*) FILTER (WHERE status = 'cancelled') AS cancelled,"
                " (SELECT count(*) FROM fault_publications) AS publications,"
                " (SELECT count(*) FROM job_events WHERE event = 'lease_lost') AS leases_lost FROM jobs"
            ).fetchone()
            recoveries = sorted(self._recoveries(c))
        for name, value in (counted or {}).items():
            setattr(figures, name, value)
        figures.kills_with_lease = len(self._killed)
        if recoveries:
            figures.recovery_p50 = round(statistics.median(recoveries), 2)
            figures.recovery_p95 = round(recoveries[min(len(recoveries) - 1, int(0.95 * len(recoveries)))], 2)
            figures.recovery_max = round(recoveries[-1], 2)
        figures.messages, figures.messages_lost = stage.queue.sent, stage.queue.lost
        calls = stage.provider.calls
        figures.calls, figures.calls_failed = len(calls), sum(call.status != 200 for call in calls)
        sent = [text for call in calls if call.status == 200 for text in call.texts]
        figures.texts_sent_again = len(sent) - len(set(sent))
        figures.broken = found
        for name in ("lost", "stuck", "half", "wrong vectors"):
            attribute = {"half": "duplicated", "wrong vectors": "wrong_vectors"}.get(name, name)
            setattr(
                figures,
                attribute,
                sum(int(line.split("(", 1)[1].split(")")[0]) for line in found if line.startswith(name)),
            )

    def _recoveries(self, c: psycopg.Connection[psycopg.rows.DictRow]) -> Iterator[float]:
        """Yield the seconds from each kill to the next claim of the job that it left behind."""
        for job_id, killed_at in self._killed:
            row = c.execute(
                "SELECT extract(epoch FROM min(at))::float8 - %(killed_at)s AS seconds FROM ("
                " SELECT at, lease_token, lag(lease_token) OVER (ORDER BY seq) AS held FROM fault_journal"
                " WHERE job_id = %(job_id)s) j"
                " WHERE lease_token IS DISTINCT FROM held AND at > to_timestamp(%(killed_at)s)",
                {"job_id": job_id, "killed_at": killed_at},
            ).fetchone()
            if row is not None and row["seconds"] is not None:
                yield row["seconds"]
