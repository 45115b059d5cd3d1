"""One seeded run: clients at work, everything failing at random, then a quiet time, then the invariants."""

import contextlib
import itertools
import os
import signal
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

import psycopg
from psycopg.rows import DictRow

from opdex.catalog.store import delete_catalog, delete_spec
from opdex.errors import OpdexError
from opdex.jobs.enqueue import cancel, reembed, retry_failed
from tests.faults.faults import Dice
from tests.faults.queue import CALM
from tests.faults.stage import SECONDS_PER_TEXT, Stage
from tests.faults.worker import Assignment, sweep_once

_FREEZE_SECONDS = 3.5
_TIME_PASSES_EVERY_SECONDS = 0.7  # cool-downs and backoffs are long, runs are short
_SWEEP_PERIOD_SECONDS = 5.0
_LONGEST_WAIT_SECONDS = 90.0
_PAUSE_SECONDS = 0.25
_CATALOGS, _SPECS = ("north", "south", "east"), 60

_COUNTED = """
    SELECT count(*) AS jobs, count(*) FILTER (WHERE status = 'succeeded') AS succeeded,
           count(*) FILTER (WHERE status = 'failed') AS failed,
           count(*) FILTER (WHERE status = 'cancelled') AS cancelled,
           (SELECT count(*) FROM fault_publications) AS publications,
           (SELECT count(*) FROM fault_leases WHERE has_lapsed) AS leases_lost,
           (SELECT count(*) FROM fault_calls) AS calls,
           (SELECT count(*) FROM fault_calls WHERE verdict <> 'good') AS calls_failed,
           (SELECT coalesce(sum(times - 1), 0)::bigint FROM (
               SELECT count(*) AS times FROM fault_calls_of_leases c CROSS JOIN LATERAL unnest(c.texts) AS text
               WHERE verdict = 'good' GROUP BY job_id, text) sent) AS texts_sent_again
    FROM (SELECT DISTINCT ON (job_id) status FROM fault_journal ORDER BY job_id, seq DESC) jobs
"""
# From the end of the last fault to a job's next claim, or to its end.
_WAITS = """
    SELECT job_id, extract(epoch FROM coalesce(min(at), clock_timestamp()) - %(since)s)::float8 AS seconds
    FROM unnest(%(jobs)s::bigint[]) AS open (job_id) LEFT JOIN LATERAL (
        SELECT at FROM (SELECT at, status, lag(status) OVER (ORDER BY seq) AS was
                        FROM fault_journal WHERE fault_journal.job_id = open.job_id) j
        WHERE at > %(since)s AND status <> was AND status <> 'pending') next ON true
    GROUP BY job_id
"""
# From each kill to the next claim of the job that it left behind.
_RECOVERIES = """
    SELECT extract(epoch FROM min(l.claimed_at) - k.at)::float8 AS seconds
    FROM fault_kills k JOIN fault_leases l ON l.job_id = k.job_id AND l.claimed_at > k.at
    GROUP BY k.who, k.job_id, k.at ORDER BY seconds
"""
_AGE = (
    "UPDATE jobs SET created_at = created_at - interval '60 days', completed_at = completed_at - interval '60 days'"
    " WHERE status IN ('succeeded', 'failed', 'cancelled')",
    "UPDATE revisions SET created_at = created_at - interval '60 days'",
    "UPDATE vectors SET made_at = made_at - interval '60 days'"
    " WHERE NOT EXISTS (SELECT FROM operations WHERE operations.text_hash = vectors.text_hash)",
)
# Which invariants make up which figure.
_FIGURES = {"lost": "lost", "duplicated": "half", "stuck": "stuck", "wrong_vectors": "wrong_vectors"}


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
    longest_wait: float = 0.0  # for a claim or an end, of the jobs that were open when the last fault ended
    lost: int = 0
    duplicated: int = 0
    stuck: int = 0
    wrong_vectors: int = 0
    acts: dict[str, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)


class Run:
    """Plays one run. The seed decides what happens; when exactly it hits is up to the machine."""

    def __init__(self, folder: Path, seed: int, seconds: float, workers: int = 3) -> None:
        self.dice = Dice(seed)
        self.figures = Figures(seed)
        self.stage = Stage(folder, seed=seed, workers=workers)
        self._seconds = seconds
        self._undo: list[tuple[float, Callable[[], None]]] = []
        self._sweeps: list[BaseProcess] = []
        self._frozen: set[int] = set()
        self._time_passed = 0.0
        self._locks: list[threading.Thread] = []
        self._versions = itertools.count(1)
        self._is_quiet = False

    def play(self, least_kills: int = 0) -> Figures:
        """Run it, and return the figures; ``broken`` is empty where everything held.

        It goes on beyond its time until so many workers died: on a slow machine less happens in it.
        """
        began = time.monotonic()
        with self.stage:
            self._warm_up()
            began = time.monotonic()
            for act in self.dice.acts():
                if time.monotonic() - began > self._seconds and self.figures.kills >= least_kills:
                    break
                self._act(act)
                pause = self.dice.seconds(0.2, 1.8) * _PAUSE_SECONDS
                self._tidy(until=time.monotonic() + pause)
            self._end_faults()
            self._let_open_jobs_end()
            self._try_failed_ones_again()
            self._count()
        self.figures.seconds = round(time.monotonic() - began, 1)
        return self.figures

    def _warm_up(self) -> None:
        """Let the model's first vector be written: it settles the dimension, before anything answers a wrong one."""
        self.stage.start_workers()
        job_id = self.stage.upload("warm", "warm", ["first thing"])
        self.stage.wait_for("id = %s AND status = 'succeeded'", job_id)
        self.stage.end_workers()
        self.stage.start_workers(self._assign)

    def _act(self, name: str) -> None:
        self.figures.acts[name] = self.figures.acts.get(name, 0) + 1
        # A client that meets a fault is told so; what it asked for has not happened, or has as a whole.
        with contextlib.suppress(OpdexError, psycopg.Error):
            getattr(self, f"_{name}")()

    def _assign(self) -> Assignment:
        if self._is_quiet:
            return self.stage.assignment()
        # One worker in three dies at a statement of its own, or has something wrong with it.
        kind = self.dice.random.randrange(9)
        seed = self.dice.random.randrange(2**32)
        if kind == 0:
            return self.stage.assignment(struck_at_statement=self.dice.random.randint(2, 150), seed=seed)
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
        self.figures.kills_with_lease += self.stage.kill(*self.dice.random.choice(self.stage.workers))

    def _freeze(self) -> None:
        assignment, process = self.dice.random.choice(self.stage.workers)
        pid = process.pid
        if pid is None or pid in self._frozen:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            self._frozen.add(pid)
            self.stage.froze(assignment)
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
        self.stage.provider.seconds_per_text = SECONDS_PER_TEXT

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
        assignment = self.stage.assignment("sweep", struck_at_statement=dies_at)
        self._sweeps.append(self.stage.start(sweep_once, assignment, len(self.stage.workers)))

    def _pass_time(self) -> None:
        self.stage.pass_time()

    def _age_everything(self) -> None:
        """Make all that has ended or was stored so far older than retention keeps it."""
        with self.stage.clock.transaction() as c:
            for statement in _AGE:
                c.execute(statement)
        self._sweep()

    # The end.

    def _end_faults(self) -> None:
        self._is_quiet = True
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

    def _let_open_jobs_end(self) -> None:
        """Wait until no job is open, with a sweep now and then, and note how long each was left alone."""
        began, swept = time.monotonic(), time.monotonic()
        with self.stage.sql() as c:
            ended_at = c.execute("SELECT clock_timestamp()").fetchone()
            open_jobs = self._open_jobs(c)
            while self._open_jobs(c) and time.monotonic() - began < _LONGEST_WAIT_SECONDS + _SWEEP_PERIOD_SECONDS:
                time.sleep(0.1)
                self._tidy(until=0)
                if time.monotonic() - swept > _SWEEP_PERIOD_SECONDS:
                    swept = time.monotonic()
                    self._sweep()
            waits = c.execute(_WAITS, {"since": (ended_at or {})["clock_timestamp"], "jobs": open_jobs}).fetchall()
        longest = max((row["seconds"] for row in waits), default=0.0)
        self.figures.longest_wait = round(longest, 2)
        if longest > _LONGEST_WAIT_SECONDS + _SWEEP_PERIOD_SECONDS:
            self.figures.broken.append(f"waited: {sorted(waits, key=lambda row: -row['seconds'])[:3]}")

    def _open_jobs(self, c: psycopg.Connection[DictRow]) -> list[int]:
        rows = c.execute("SELECT id FROM jobs WHERE status IN ('pending', 'running')").fetchall()
        return [row["id"] for row in rows]

    def _try_failed_ones_again(self) -> None:
        """Give what failed all its attempts, now that nothing is wrong: it must come to its end, too."""
        ends_at = time.monotonic() + _LONGEST_WAIT_SECONDS
        while time.monotonic() < ends_at:
            self._sweep().join()
            self._tidy(until=0)
            self._retry_failed_safely()
            with self.stage.sql() as c:
                row = c.execute(
                    "SELECT (SELECT count(*) FROM jobs WHERE status IN ('pending', 'running')) AS open,"
                    " (SELECT count(*) FROM specs s WHERE published_revision IS DISTINCT FROM current_revision AND"
                    " 'cancelled' <> (SELECT status FROM jobs WHERE spec_id = s.id ORDER BY id DESC LIMIT 1)) AS due"
                ).fetchone()
            if row == {"open": 0, "due": 0}:
                return
            time.sleep(0.1)

    def _retry_failed_safely(self) -> None:
        with contextlib.suppress(OpdexError):
            self._retry_failed()

    def _count(self) -> None:
        figures, stage = self.figures, self.stage
        figures.broken += stage.broken()
        with stage.sql() as c:
            counted = c.execute(_COUNTED).fetchone()
            recoveries = [row["seconds"] for row in c.execute(_RECOVERIES)]
        for name, value in (counted or {}).items():
            setattr(figures, name, value)
        if recoveries:
            figures.recovery_p50 = round(statistics.median(recoveries), 2)
            figures.recovery_p95 = round(recoveries[min(len(recoveries) - 1, int(0.95 * len(recoveries)))], 2)
            figures.recovery_max = round(recoveries[-1], 2)
        figures.messages, figures.messages_lost = stage.queue.sent, stage.queue.lost
        for name, beginning in _FIGURES.items():
            lines = [line for line in figures.broken if line.startswith(beginning)]
            setattr(figures, name, sum(int(line.split("(", 1)[1].split(")")[0]) for line in lines))
