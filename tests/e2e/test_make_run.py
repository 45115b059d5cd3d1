"""The life of `make run`: what it indexes, what it keeps, and that nothing outlives it."""

import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from tests.e2e.system import PROJECT, System, started_system
from tests.ollama_server import OllamaServer

EXAMPLE = PROJECT / "docs" / "examples" / "library.yaml"


def _wait_until(condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def _parents() -> dict[int, int]:
    """Return the parent of every process that is alive."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, parent = (entry / "stat").read_text().rsplit(")", 1)[1].split()[:2]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if state != "Z":
                parents[int(entry.name)] = int(parent)
    return parents


def _descendants(pid: int) -> set[int]:
    parents = _parents()
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def _end(system: System, how: signal.Signals) -> None:
    """Signal the run, and wait until it and all that it started are gone."""
    pid = system.endpoint["pid"]
    started = _descendants(pid)
    assert len(started) >= 3  # Postgres, the emulator, a function
    os.kill(pid, how)
    _wait_until(lambda: not ({pid} | started) & _parents().keys(), f"{how.name} left processes behind")


def _is_listening(url: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(url.rsplit(":", 1)[1]))) == 0


def test_run_indexes_keeps_and_cleans_up_when_it_is_ended_and_started_again(tmp_path: Path) -> None:
    endpoint_file = tmp_path / "data" / "endpoint.json"
    with started_system(tmp_path, "--spec", str(EXAMPLE)) as system:
        first = system.endpoint
        assert endpoint_file.stat().st_mode & 0o777 == 0o600
        _wait_until(lambda: "are searchable after" in (tmp_path / "run.log").read_text(), "the example is not indexed")
        opened = httpx.get(first["aws_endpoint_url"], headers={"Sec-Fetch-Dest": "document"}, follow_redirects=True)
        assert (str(opened.url), opened.status_code) == (f"{first['url']}/", 200)
        (status,) = system.statuses("local")
        assert status["embedding_count"] == status["operation_count"] > 0
        _end(system, signal.SIGTERM)
        assert not endpoint_file.exists()
        assert not _is_listening(first["aws_endpoint_url"])

    with started_system(tmp_path) as system:
        assert system.endpoint["api_key"] == first["api_key"]
        assert system.statuses("local")[0]["embedding_count"] == status["embedding_count"]
        assert system.call("GET", "/search?q=borrow a book")["operations"]
        _end(system, signal.SIGKILL)
        assert not _is_listening(system.endpoint["aws_endpoint_url"])
        endpoint_file.unlink()  # a killed run cannot; the next one would, but not before we look for its own

    with started_system(tmp_path) as system:  # in spite of what the killed run left in the folder
        assert system.statuses("local")[0]["embedding_count"] == status["embedding_count"]


def test_run_goes_on_when_postgres_dies_under_it(tmp_path: Path) -> None:
    with OllamaServer(seconds_per_text=0.1, calls_at_once=1) as server:
        options = (
            f"--spec={EXAMPLE}",
            "--embedding-provider=ollama",
            f"--embedding-url={server.url}",
            "--function-variable=EMBEDDING_CHUNK_SECONDS=0.5",
            "--function-variable=LEASE_SECONDS=4",
            "--function-variable=HEARTBEAT_SECONDS=1",
        )
        with started_system(tmp_path, *options) as system:
            pid_file = tmp_path / "data" / "postgres" / "data" / "postmaster.pid"
            _wait_until(lambda: len(server.texts) > 5, "nothing is indexed")
            killed = pid_file.read_text().split()[0]
            os.kill(int(killed), signal.SIGKILL)

            def is_another() -> bool:
                return pid_file.exists() and pid_file.read_text().split()[:1] not in ([], [killed])

            def said() -> str:
                return (tmp_path / "run.log").read_text()

            _wait_until(is_another, "Postgres was not started again")
            _wait_until(lambda: "are searchable after" in said(), "what was being indexed is not")
            _end(system, signal.SIGTERM)
            assert "Traceback" not in said()


def test_two_runs_do_not_touch_when_their_ports_and_folders_differ(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    with started_system(tmp_path / "one") as one, started_system(tmp_path / "two") as two:
        one.create_catalog("only-here")
        assert one.call("GET", "/api-catalogs")["catalogs"]
        assert two.call("GET", "/api-catalogs")["catalogs"] == []
