"""Other libraries on Opdex's ground: the same Postgres, the same embedding server, the same run.

Each function starts a script of this package in the rivals' own environment, ``.tools/rivals`` (``make bench`` installs
it), and returns what it measured. ``database_url`` names a database of the caller's, which the libraries add their
tables to; what was asked before may be asked again.
"""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

_ROOT = Path(__file__).resolve().parents[3]
_PYTHON = _ROOT / ".tools" / "rivals" / "bin" / "python"
_TIMEOUT_SECONDS = 150.0

type Driver = Literal["psycopg", "asyncpg"]


class RivalFailed(RuntimeError):
    """A rival's script ended badly or not at all; the message holds what it said."""


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """Jobs a second that do nothing, claimed one by one, each finished in a commit before the next is claimed.

    By the library's own ``calls`` for claiming and finishing, or by its ``worker``, which makes these calls, and more.
    Where there are more connections than one, each belongs to a process of its own.
    """

    library: str
    version: str
    driver: Driver
    how: Literal["calls", "worker"]
    connections: int
    jobs: int
    jobs_per_second: float


@dataclass(frozen=True, slots=True)
class LatencyFigures:
    """The time from calling enqueue to the job's code running, in an idle worker of the library's own."""

    library: str
    version: str
    driver: Driver
    jobs: int
    p50_ms: float
    p95_ms: float


@dataclass(frozen=True, slots=True)
class OverheadFigures:
    """The seconds it took to embed ``texts`` texts and store their vectors, a figure a run; ``bare`` stores nothing."""

    what: Literal["bare", "procrastinate", "cocoindex"]
    version: str
    calls_in_flight: int
    texts: int
    seconds: tuple[float, ...]

    @property
    def median_seconds(self) -> float:
        """The run in the middle."""
        return median(self.seconds)


def queue_throughput(database_url: str) -> list[QueueFigures]:
    """Measure procrastinate on psycopg and pgqueuer on psycopg and asyncpg, with 1 and with 4 connections."""
    measured = [
        *_run("procrastinate_queue", "throughput", database_url),
        *_run("pgqueuer_queue", "throughput", database_url),
    ]
    return [QueueFigures(**figures) for figures in measured]


def claim_latency(database_url: str) -> list[LatencyFigures]:
    """Measure how soon procrastinate and pgqueuer begin a job; both are woken by LISTEN and NOTIFY."""
    measured = [*_run("procrastinate_queue", "latency", database_url), *_run("pgqueuer_queue", "latency", database_url)]
    return [LatencyFigures(**figures) for figures in measured]


def overhead(database_url: str, provider_url: str, *, runs: int = 5) -> list[OverheadFigures]:
    """Measure bare calls, procrastinate and cocoindex with 1 and 5 calls in flight, in turn within each run."""
    measured = _run("overhead", database_url, provider_url, runs)
    return [OverheadFigures(**{**figures, "seconds": tuple(figures["seconds"])}) for figures in measured]


def _run(script: str, *arguments: object) -> list[dict[str, Any]]:
    command = [str(_PYTHON), "-m", f"{__name__}.{script}", *map(str, arguments)]
    environment = {
        "PATH": os.defpath,
        "PYTHONPATH": str(_ROOT),
        "COCOINDEX_DISABLE_USAGE_TRACKING": "1",  # nothing measured here may call out
    }
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, cwd=_ROOT, env=environment, timeout=_TIMEOUT_SECONDS
        )
    except FileNotFoundError as error:
        raise RivalFailed("The rivals are not installed: run `make bench`, which does that.") from error
    except subprocess.CalledProcessError as error:
        raise RivalFailed(f"{script} failed: {error.stderr.strip()[-2000:]}") from error
    except subprocess.TimeoutExpired as error:
        said = (error.stderr or b"")[-2000:].decode(errors="replace")
        raise RivalFailed(f"{script} did not end within {_TIMEOUT_SECONDS:.0f} s: {said}") from error
    return list(json.loads(done.stdout.splitlines()[-1]))
