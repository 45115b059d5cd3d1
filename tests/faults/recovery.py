"""How soon jobs go on after their workers were killed: read from the journal, after the run."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from psycopg.rows import tuple_row

from tests.faults.invariants import Connection

_HANDED_BACK = """
    SELECT FROM fault_journal WHERE job_id = %(job_id)s AND lease_token = %(lease_token)s AND status <> 'running'
      AND error_code IS DISTINCT FROM 'worker_lost' LIMIT 1
"""
_WENT_ON = """
    SELECT extract(epoch FROM min(at) FILTER (WHERE lease_token <> %(lease_token)s))::float8 - %(at)s,
           extract(epoch FROM min(at) FILTER (WHERE embedded_so_far > coalesce((
               SELECT max(embedded_so_far) FROM fault_journal
               WHERE job_id = %(job_id)s AND at <= to_timestamp(%(at)s)), 0)))::float8 - %(at)s
    FROM fault_journal WHERE job_id = %(job_id)s AND status IN ('running', 'succeeded') AND at > to_timestamp(%(at)s)
"""


@dataclass(frozen=True, slots=True)
class Kill:
    """A worker's death: the job and the lease that it held, and when it died, in seconds since the epoch."""

    job_id: int
    lease_token: UUID
    at: float


@dataclass(frozen=True, slots=True)
class Recovery:
    """The seconds from a kill to the next claim of its job and to the next chunk; infinite where there was none."""

    claim: float
    chunk: float


@dataclass(frozen=True, slots=True)
class Spread:
    """What is said of many durations, in seconds."""

    p50: float
    p95: float
    max: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Self:
        """Return the spread of at least one duration; a percentile is the least one that so many do not exceed."""
        ordered = sorted(seconds)
        return cls(*(round(ordered[math.ceil(share * len(ordered)) - 1], 1) for share in (0.5, 0.95, 1)))


def came_too_late(connection: Connection, kill: Kill) -> bool:
    """Tell whether the worker's last write, on its way when it died, gave the lease back after all."""
    return bool(_rows(connection, _HANDED_BACK, kill))


def recovery_after(connection: Connection, kill: Kill) -> Recovery:
    """Return how soon the kill's job went on."""
    (row,) = _rows(connection, _WENT_ON, kill)
    return Recovery(*(math.inf if seconds is None else seconds for seconds in row))


def _rows(connection: Connection, query: str, kill: Kill) -> list[tuple[Any, ...]]:
    values = {"job_id": kill.job_id, "lease_token": kill.lease_token, "at": kill.at}
    with connection.cursor(row_factory=tuple_row) as cursor:
        return cursor.execute(query.encode(), values).fetchall()
