"""The embedded Postgres on its own: what survives, and what goes when it should."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from local.errors import LocalRunError
from local.postgres import EmbeddedPostgres

PROJECT = Path(__file__).parents[2]


def _wait_until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.fixture
def server(tmp_path: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(tmp_path / "postgres", durable=False)


def test_server_has_pgvector_and_listens_on_loopback_alone_when_started(server: EmbeddedPostgres) -> None:
    with server, psycopg.connect(server.url()) as connection:
        connection.execute("CREATE EXTENSION vector")
        assert connection.execute("SELECT '[1,2]'::vector <-> '[1,3]'").fetchone() == (1.0,)
        assert connection.execute("SHOW listen_addresses").fetchone() == ("127.0.0.1",)
        assert connection.execute("SHOW unix_socket_directories").fetchone() == ("",)


def test_server_refuses_a_client_when_the_password_is_wrong(server: EmbeddedPostgres) -> None:
    with server, pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(server.url(), password="guess")


def test_data_survives_when_the_server_is_stopped_and_started(server: EmbeddedPostgres) -> None:
    with server, psycopg.connect(server.url()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    with server, psycopg.connect(server.url()) as connection:
        assert connection.execute("SELECT n FROM kept").fetchone() == (7,)


def test_server_starts_again_on_its_port_when_it_was_killed(server: EmbeddedPostgres) -> None:
    with server:
        url, pid = server.url(), server.pid
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        _wait_until(lambda: server.pid is None)
        server.start()
        assert server.url() == url
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT n FROM kept").fetchone() == (7,)


def test_server_ends_and_can_start_again_when_the_process_that_started_it_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from local.postgres import EmbeddedPostgres\n"
        "server = EmbeddedPostgres(Path(sys.argv[1]), durable=False); server.start()\n"
        "print(server.pid, flush=True); time.sleep(600)"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "postgres")],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    )
    with starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        starter.kill()
    with EmbeddedPostgres(tmp_path / "postgres", durable=False) as server:
        assert _is_gone(pid)
        psycopg.connect(server.url()).close()


def test_server_runs_in_a_folder_closed_to_others_when_started_by_any_user(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with EmbeddedPostgres(closed / "postgres", durable=False) as server:
        pid = server.pid
        assert pid is not None
        assert Path(f"/proc/{pid}").stat().st_uid != 0
    assert closed.stat().st_mode & 0o777 == 0o700
    assert _is_gone(pid)


def test_two_servers_run_when_their_folders_differ(server: EmbeddedPostgres, tmp_path: Path) -> None:
    with server, EmbeddedPostgres(tmp_path / "other", durable=False) as other:
        assert server.url() != other.url()
        psycopg.connect(server.url()).close()
        psycopg.connect(other.url()).close()


def test_server_says_why_at_once_when_its_data_is_of_another_version(server: EmbeddedPostgres, tmp_path: Path) -> None:
    with server:
        pass
    (tmp_path / "postgres" / "data" / "PG_VERSION").write_text("17\n")
    with pytest.raises(LocalRunError, match="database files are incompatible with server"):
        server.start()
