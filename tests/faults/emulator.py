"""Kills embed workers of the whole system: the real template, its own lease, heartbeat and schedule, on the emulator.

To the emulator, as to AWS, a killed invocation is an error: the function's next one starts cold, and the message stays
invisible for the queue's 5,400 s. Nothing waits for that. Each claim has a delayed wake-up in the queue, which another
worker receives just after the lease's end, and takes the job back with.
"""

import os
import random
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from tests.e2e.system import System, document, started_system
from tests.faults.invariants import JOURNAL, Connection, broken
from tests.faults.recovery import Kill, Spread, came_too_late, recovery_after
from tests.ollama_server import OllamaServer
from tests.worker_process import worker_behind

_MOST_RECOVERY_SECONDS = 90.0
_PATIENCE_SECONDS = 2 * _MOST_RECOVERY_SECONDS
_CATALOG = "killed"
_OPERATIONS = 600  # more than a job gets through while it is killed
_SECONDS_PER_TEXT = 1.0  # a slice consists of calls, of up to 5 s each
_LONGEST_HELD_SECONDS = 12.0  # past the first heartbeat
_POLL_SECONDS = 0.02

# Whoever changes an open job here is one of the stack's workers. Its connection's port tells which one.
_WORKERS = """
    ALTER TABLE fault_journal ALTER who SET DEFAULT 'worker', ADD port integer DEFAULT inet_client_port();
    ALTER TABLE fault_publications ALTER who SET DEFAULT 'worker';
    ALTER TABLE fault_vectors ALTER who SET DEFAULT 'worker';
"""
# Each claim waits in its COMMIT while the gate is shut. When its worker is dead by then, the claim is committed all the
# same, and nothing that should follow it ever does.
_GATE = """
    CREATE FUNCTION fault_wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        PERFORM pg_advisory_xact_lock_shared(4711);
        RETURN NULL;
    END $$;
    CREATE CONSTRAINT TRIGGER fault_gate AFTER UPDATE ON jobs DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
        WHEN (OLD.status = 'pending' AND NEW.status = 'running') EXECUTE FUNCTION fault_wait_at_gate();
"""
_SHUT_GATE = "SELECT pg_advisory_lock(4711)"  # until the session ends
_AT_GATE = """
    SELECT client_port FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted
"""
_HELD = """
    SELECT j.id AS job_id, j.lease_token, (array_agg(f.port ORDER BY f.seq DESC))[1] AS port,
           extract(epoch FROM clock_timestamp() - min(f.at))::float8 AS seconds,
           max(f.embedded_so_far) > min(f.embedded_so_far) AS has_moved
    FROM jobs j JOIN fault_journal f ON f.job_id = j.id AND f.lease_token = j.lease_token
    WHERE j.status = 'running' GROUP BY j.id
"""
_OPEN = "SELECT id FROM jobs WHERE status IN ('pending', 'running')"


@dataclass(frozen=True, slots=True)
class Held:
    """A job that a worker holds: the port of the worker's connection, and what it did since its claim."""

    job_id: int
    lease_token: UUID
    port: int
    seconds: float
    has_moved: bool


type Moment = Callable[[Held], bool]


@dataclass
class Figures:
    """What a run did and found. Recovery: from a kill to its job's next claim; progress: to its next chunk."""

    seconds: float = 0.0
    jobs: int = 0
    succeeded: int = 0
    kills: int = 0
    texts_sent_again: int = 0
    recovery: Spread | None = None
    progress: Spread | None = None
    broken: list[str] = field(default_factory=list)


class KillRun:
    """A run of so many jobs at once, on one worker more than that."""

    def __init__(self, seed: int, jobs: int) -> None:
        self._dice = random.Random(seed)
        self._jobs = jobs
        self._kills: list[Kill] = []

    def play(self, folder: Path, *rounds: "Round") -> Figures:
        """Play the rounds, let every job end, and return the figures.

        Each job's worker is killed once a round, in four rounds at most: the template gives a job five attempts.
        """
        figures = Figures()
        with (
            OllamaServer(seconds_per_text=_SECONDS_PER_TEXT) as provider,
            _system(folder, provider, workers=self._jobs + 1) as self._system,
            _connection(self._system) as self._sql,
        ):
            began = time.monotonic()
            for preparation in (JOURNAL, _WORKERS, _GATE):
                self._sql.execute(preparation)
            try:
                self._warm_up()
                for play_round in rounds:
                    play_round(self)
                self._wait_until_all_are_held()
                provider.seconds_per_text = 0.0
                self._wait_until("every job has ended", lambda: not self._open_jobs())
            except TimeoutError as error:
                figures.broken.append(str(error))
            self._count(figures)
            figures.seconds = round(time.monotonic() - began, 1)
        figures.texts_sent_again = len(provider.texts) - len(set(provider.texts))
        return figures

    # The rounds.

    def open_jobs(self) -> None:
        """Open the jobs, and kill nobody."""
        for number in range(self._jobs):
            self._upload(f"spec{number}", _OPERATIONS)

    def at_the_first_claim(self) -> None:
        """Open the jobs, and kill each worker between its claim and the wake-ups that follow it.

        The message that each was woken with is in flight, and gone with it.
        """
        with _connection(self._system) as gate:
            gate.execute(_SHUT_GATE)
            self.open_jobs()
            self._wait_until("each job is about to be claimed", lambda: len(self._at_gate()) == self._jobs)
            at = time.time()
            for pid in filter(None, map(worker_behind, self._at_gate())):
                os.kill(pid, signal.SIGKILL)
        kills: dict[int, Kill] = {}

        def all_claims_are_committed() -> bool:
            for held in self._held():  # one that was committed early may have lapsed before the last one is
                kills.setdefault(held.job_id, Kill(held.job_id, held.lease_token, at))
            return len(kills) == self._jobs

        self._wait_until("each claim is committed", all_claims_are_committed)
        self._kills += kills.values()

    def one_by_one(self) -> None:
        """Kill each worker at a moment of its own."""
        moments = {job_id: self._moment() for job_id in self._open_jobs()}

        def all_are_killed() -> bool:
            for held in self._held():
                if held.job_id in moments and moments[held.job_id](held) and self._kill(held):
                    del moments[held.job_id]
            return not moments

        self._wait_until("each worker is killed", all_are_killed)

    def together(self) -> None:
        """Kill all workers at the same time."""
        self._wait_until_all_are_held()
        time.sleep(self._dice.uniform(0, _LONGEST_HELD_SECONDS / 2))
        for held in self._held():
            self._kill(held)

    def _moment(self) -> Moment:
        longest = self._dice.uniform(0, _LONGEST_HELD_SECONDS)
        moments: tuple[Moment, ...] = (
            lambda held: True,  # it has just claimed
            lambda held: held.has_moved,  # it has just written a chunk
            lambda held: held.seconds > longest,  # mostly in the middle of its calls
        )
        return self._dice.choice(moments)

    # What they are made of.

    def _warm_up(self) -> None:
        """Register the model: of workers that do so at the same time, all but one wait before they claim."""
        self._system.create_catalog(_CATALOG)
        self._upload("warm", 1)
        self._wait_until("the first job has ended", lambda: not self._open_jobs())

    def _upload(self, spec_name: str, operations: int) -> None:
        self._system.upload(_CATALOG, spec_name, document(spec_name, operations))

    def _kill(self, held: Held) -> bool:
        pid = worker_behind(held.port)
        if pid is None:
            return False
        os.kill(pid, signal.SIGSTOP)  # lest it hands the job back while we look
        at = time.time()
        holds_it = held.lease_token in {one.lease_token for one in self._held()}
        os.kill(pid, signal.SIGKILL if holds_it else signal.SIGCONT)
        if holds_it:
            self._kills.append(Kill(held.job_id, held.lease_token, at))
        return holds_it

    def _held(self) -> list[Held]:
        """Return the jobs whose workers were not killed."""
        killed = {kill.lease_token for kill in self._kills}
        held = [Held(**row) for row in self._sql.execute(_HELD)]
        return [one for one in held if one.lease_token not in killed]

    def _open_jobs(self) -> list[int]:
        return [row["id"] for row in self._sql.execute(_OPEN)]

    def _at_gate(self) -> list[int]:
        return [row["client_port"] for row in self._sql.execute(_AT_GATE)]

    def _wait_until_all_are_held(self) -> None:
        self._wait_until("each job is claimed", lambda: len(self._held()) == len(self._open_jobs()))

    def _wait_until(self, what: str, condition: Callable[[], bool]) -> None:
        ends_at = time.monotonic() + _PATIENCE_SECONDS
        while not condition():
            if time.monotonic() > ends_at:
                raise TimeoutError(f"recovery: waited {_PATIENCE_SECONDS:g} s until {what}")
            time.sleep(_POLL_SECONDS)

    # What came of it.

    def _story(self, job_id: int) -> list[str]:
        """Return what happened to a job, chunks aside, and when it was killed."""
        events = self._sql.execute(
            "SELECT extract(epoch FROM at)::float8 AS at, event, detail FROM job_events"
            " WHERE job_id = %s AND event <> 'chunk' ORDER BY id",
            [job_id],
        ).fetchall()
        told = [(row["at"], f"{row['event']} {row['detail']}") for row in events]
        told += [(kill.at, "killed") for kill in self._kills if kill.job_id == job_id]
        return [f"{at % 1000:.1f} {what}" for at, what in sorted(told)]

    def _count(self, figures: Figures) -> None:
        recoveries = {
            kill: recovery_after(self._sql, kill) for kill in self._kills if not came_too_late(self._sql, kill)
        }
        jobs = self._sql.execute("SELECT id, status, attempts FROM jobs ORDER BY id").fetchall()
        figures.jobs, figures.succeeded = len(jobs), sum(job["status"] == "succeeded" for job in jobs)
        figures.kills = len(recoveries)
        figures.broken += broken(self._sql)
        for job in jobs:
            kills = sum(kill.job_id == job["id"] for kill in recoveries)
            if (job["status"], job["attempts"]) != ("succeeded", 1 + kills):
                figures.broken.append(f"attempts: {job} after {kills} kills: {self._story(job['id'])}")
        if not recoveries:
            figures.broken.append("recovery: no kill has hit a worker that held a job")
            return
        figures.recovery = Spread.of([recovery.claim for recovery in recoveries.values()])
        went_on = [after.chunk for kill, after in recoveries.items() if not _came_again(recoveries, kill, after.chunk)]
        figures.progress = Spread.of(went_on)
        if figures.recovery.max > _MOST_RECOVERY_SECONDS:
            figures.broken.append(f"recovery: a job waited for more than {_MOST_RECOVERY_SECONDS:g} s: {recoveries}")


type Round = Callable[[KillRun], None]
ROUNDS: tuple[Round, ...] = (KillRun.at_the_first_claim, KillRun.one_by_one, KillRun.together, KillRun.one_by_one)


@contextmanager
def _system(folder: Path, provider: OllamaServer, workers: int) -> Iterator[System]:
    # Where SIGINT is ignored, as in a script's background, the system would ignore it too, and it is ended with it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    options = (f"--workers={workers}", "--embedding-provider=ollama", f"--embedding-url={provider.url}")
    try:
        with started_system(folder, *options) as system:
            yield system
    finally:
        signal.signal(signal.SIGINT, before)


def _connection(system: System) -> Connection:
    return psycopg.connect(system.endpoint["database_url"], autocommit=True, row_factory=dict_row)


def _came_again(kills: Iterable[Kill], kill: Kill, seconds: float) -> bool:
    """Tell whether the job was killed again within so many seconds."""
    return any(other.job_id == kill.job_id and kill.at < other.at < kill.at + seconds for other in kills)
