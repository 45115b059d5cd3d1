"""The processes of embed workers, found by their connections to Postgres: whatever runs them, they are here."""

import contextlib
import os
import signal
from pathlib import Path
from typing import Any

import psycopg

from tests.integration.engine import wait_until

_WAITS = "SELECT client_port FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


def worker_behind(port: int) -> int | None:
    """Return the process id of the embed worker whose connection to Postgres has this port; None where it has gone."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    sockets = {f"socket:[{row[9]}]" for row in rows if row[1].endswith(f":{port:04X}")}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile, or is another user's
            if "EmbedFunction" in os.readlink(process / "cwd") and any(
                os.readlink(descriptor) in sockets for descriptor in (process / "fd").iterdir()
            ):
                return int(process.name)
    return None


def freeze_waiting_worker(connection: psycopg.Connection[Any], seconds: float) -> None:
    """Freeze the worker that comes to wait for a lock within so many seconds: now its runtime alone can end it."""

    def is_frozen() -> bool:
        for (port,) in connection.execute(_WAITS).fetchall():
            if (pid := worker_behind(port)) is not None:
                os.kill(pid, signal.SIGSTOP)
                return True
        return False

    wait_until(is_frozen, seconds, every=0.05)
