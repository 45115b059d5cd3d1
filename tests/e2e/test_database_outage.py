"""The database away for 30 s while clients read and write, and workers are in the middle of their slices.

First it hangs, as a server does whose machine is stuck, until clients have been told so; then it is killed, and
connections are refused. Whoever runs it starts it again, on the same port and data. Nothing else is started again.
"""

import contextlib
import hashlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psycopg

from tests.e2e.system import BASE, System, document, started_system
from tests.ollama_server import OllamaServer

_HANGS_SECONDS, _REFUSES_SECONDS = 22.0, 8.0
_PATIENCE_SECONDS = 120.0
_WORKERS = 2
_SLOW, _SLOW_TEXTS = "slow", 60
_CATALOG = "/api-catalogs/outage"
_SHALLOW, _HEALTH, _STATUS = "/healthz?shallow=true", "/healthz", f"{BASE}{_CATALOG}/embedding-status"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request was answered, and when, by the monotonic clock."""

    path: str
    status: int
    code: str | None
    retry_after: str
    at: float

    @property
    def is_refusal(self) -> bool:
        return self.status >= HTTPStatus.BAD_REQUEST


class Clients:
    """What clients of a system were answered, and which documents they have stored."""

    def __init__(self, system: System) -> None:
        self.answers: list[Answer] = []
        self.stored: dict[str, bytes] = {}
        self._http = system.http
        self._over = Event()

    @contextmanager
    def at_work(self, writers: int, *paths: str) -> Iterator[None]:
        """Have so many upload documents and one read each path, for the block, whatever they are answered."""
        writing = [Thread(target=self._write, args=(f"writer-{number}",)) for number in range(writers)]
        threads = [*writing, *(Thread(target=self._read, args=(path,)) for path in paths)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def succeeded_since(self, moment: float, writers: int, *paths: str) -> bool:
        """Return whether each of them has been given since then what it asked for."""
        return _are_all_there([answer for answer in self._since(moment) if not answer.is_refusal], writers, *paths)

    def refused_since(self, moment: float, writers: int, *paths: str) -> bool:
        """Return whether each of them has been refused since then what it asked for."""
        return _are_all_there([answer for answer in self._since(moment) if answer.is_refusal], writers, *paths)

    def _since(self, moment: float) -> list[Answer]:
        return [answer for answer in self.answers if answer.at > moment]

    def _write(self, name: str) -> None:
        """Upload one document after another, each again and again until it is stored."""
        number = 0
        while not self._over.is_set():
            spec = f"{name}-{number}"
            raw = document(spec, 2)
            while not self._ask("PUT", f"{BASE}{_CATALOG}/specs/{spec}/upload", raw) < HTTPStatus.BAD_REQUEST:
                time.sleep(1)
            self.stored[spec] = raw
            number += 1
            time.sleep(0.5)

    def _read(self, path: str) -> None:
        while not self._over.is_set():
            self._ask("GET", path)
            time.sleep(0.5)

    def _ask(self, method: str, path: str, content: bytes | None = None) -> int:
        answer = self._http.request(method, path, content=content, headers={"Content-Type": "application/json"})
        code = answer.json()["error"]["code"] if answer.is_error else None
        retry_after = answer.headers.get("Retry-After", "")
        self.answers.append(Answer(path, answer.status_code, code, retry_after, time.monotonic()))
        return answer.status_code


def _are_all_there(answers: list[Answer], writers: int, *paths: str) -> bool:
    asked = [answer.path for answer in answers]
    return all(any(f"/writer-{n}-" in path for path in asked) for n in range(writers)) and {*paths} <= {*asked}


def _wait(condition: Callable[[], Any]) -> None:
    ends_at = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < ends_at
        time.sleep(0.1)


@contextmanager
def _away(system: System, data: Path, is_noticed: Callable[[], bool]) -> Iterator[None]:
    """Let the database hang, at least until that is noticed, then refuse connections; after the block it is back."""
    supervisor = int(system.endpoint["pid"])
    processes = _database_processes(system, data)
    try:
        _signal(processes, signal.SIGSTOP)
        time.sleep(_HANGS_SECONDS)
        _wait(is_noticed)  # the gateway would wait for 29 s, and the database never answers
        os.kill(supervisor, signal.SIGSTOP)
        _signal(processes, signal.SIGKILL)
        time.sleep(_REFUSES_SECONDS)
        yield
    finally:
        _signal(processes, signal.SIGKILL)
        os.kill(supervisor, signal.SIGCONT)


def _database_processes(system: System, data: Path) -> list[int]:
    with psycopg.connect(system.endpoint["database_url"]) as connection:
        children = connection.execute("SELECT pid FROM pg_stat_activity").fetchall()
    postmaster = (data / "postgres/data/postmaster.pid").read_text().split()[0]
    return [int(postmaster), *(pid for (pid,) in children)]


def _signal(processes: list[int], number: signal.Signals) -> None:
    for pid in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def test_no_write_is_lost_and_work_goes_on_when_the_database_is_away_for_30_seconds(tmp_path: Path) -> None:
    clients_of, of_database = (2, _STATUS, _HEALTH, _SHALLOW), (2, _STATUS, _HEALTH)
    with OllamaServer(seconds_per_text=0.25, slow_marker=_SLOW) as provider:
        options = (
            f"--workers={_WORKERS}",
            "--embedding-provider=ollama",
            f"--embedding-url={provider.url}",
            "--function-variable=EMBEDDING_CALLS_IN_FLIGHT=1",
            "--function-variable=EMBEDDING_CHUNK_SECONDS=1",
        )
        with started_system(tmp_path, *options) as system:
            system.create_catalog("outage")
            jobs = [
                system.upload("outage", f"{_SLOW}-{number}", document(f"{_SLOW}-{number}", _SLOW_TEXTS))["job"]["id"]
                for number in range(_WORKERS)
            ]
            clients = Clients(system)
            with clients.at_work(*clients_of):
                _wait(lambda: clients.succeeded_since(0, *clients_of))
                _wait(lambda: all(system.call("GET", f"/embedding-jobs/{job}")["embedded_so_far"] for job in jobs))
                began = time.monotonic()
                with _away(system, tmp_path / "data", lambda: clients.refused_since(began, *of_database)):
                    ended = time.monotonic()
                _wait(lambda: clients.succeeded_since(ended, *clients_of))
            _wait(lambda: _is_all_indexed(system))
            stored = {name: system.call("GET", f"{_CATALOG}/specs/{name}") for name in clients.stored}
            written = [entry["path"] for entry in _audit(system)]
            attempts = {system.call("GET", f"/embedding-jobs/{job}")["attempts"] for job in jobs}
        log = (tmp_path / "data/emulator.log").read_text()

    refused = [answer for answer in clients.answers if answer.is_refusal]
    assert {(answer.status, answer.code) for answer in refused} == {(503, "database_unavailable")}
    assert all(int(answer.retry_after) > 0 for answer in refused)
    assert not any(answer.path == _SHALLOW for answer in refused)

    # What was answered with success is there, once and as it was sent, however often it had been tried before.
    assert len(stored) == len(clients.stored)
    for name, raw in clients.stored.items():
        assert (stored[name]["content_sha256"], stored[name]["revision"]) == (hashlib.sha256(raw).hexdigest(), 1)
        assert written.count(f"{BASE}{_CATALOG}/specs/{name}/upload") == 1

    # Each worker did at most the chunk under way and the one that waited unwritten again, in the environment it was in.
    assert attempts <= {1, 2}
    longest = max(len(call.texts) for call in provider.calls)
    assert len(provider.texts) - len(set(provider.texts)) <= 2 * longest * _WORKERS
    assert log.count("worker spawned for opdex-EmbedFunction") == _WORKERS


def _is_all_indexed(system: System) -> bool:
    health = system.call("GET", f"{_CATALOG}/embedding-health")
    return bool(health["specs_indexed"] == health["specs_total"])


def _audit(system: System) -> list[dict[str, Any]]:
    return list(system.call("GET", "/audit?limit=500")["entries"])
