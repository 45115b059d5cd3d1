"""What is dropped: finished jobs and revisions that are old, operations without a revision, vectors that no text needs.

Each batch is a short transaction of its own that waits for nobody, so two passes at once do no harm.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from opdex.database import Connection, Database, load_statements

_SQL = load_statements("opdex.jobs", "retention.sql")

# Rows looked at in one transaction; of operations, the revisions that they were stored with. A job goes with its events
# (often tens), the operations of each such revision (often hundreds) in a transaction of their own.
_JOBS, _REVISIONS, _OPERATIONS, _VECTORS = 100, 200, 200, 1000


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How many rows went."""

    jobs: int
    revisions: int
    operations: int
    vectors: int


def apply_retention(database: Database, *, days: int, seconds: float) -> Forgotten:
    """Drop what has been of no use for so many days, batch by batch, for so many seconds at most.

    What stays: the newest job of each spec and parked ones; revisions that are current, published or an open job's; and
    each vector whose text is still stored. The operations of a deleted revision go at any age, unless a clone has them.
    """
    ends_at = time.monotonic() + seconds

    def in_time() -> bool:
        return time.monotonic() < ends_at

    return Forgotten(
        jobs=_walk(database, "forget_jobs", {"id": 0, "days": days, "batch": _JOBS}, in_time),
        revisions=_walk(
            database, "forget_revisions", {"spec_id": 0, "revision": 0, "days": days, "batch": _REVISIONS}, in_time
        ),
        operations=_forget_operations(database, in_time),
        vectors=sum(_forget_vectors(database, model_id, days, in_time) for model_id in _models(database)),
    )


def _walk(database: Database, statement: str, values: dict[str, int], in_time: Callable[[], bool]) -> int:
    """Run a statement that looks at one batch after the position in ``values`` until none is left; returns the sum."""
    forgotten = 0
    while in_time():
        with database.transaction() as connection:
            batch = connection.execute(_SQL[statement], values).fetchone()
        if batch is None:
            break
        forgotten += batch["forgotten"]
        if not batch["more"]:
            break
        values = {**values, **batch}
    return forgotten


def _forget_operations(database: Database, in_time: Callable[[], bool]) -> int:
    forgotten = 0
    after = {"spec_id": 0, "revision": 0}
    while in_time():
        with database.transaction() as connection:
            seen = connection.execute(_SQL["operations_after"], {**after, "batch": _OPERATIONS}).fetchall()
        for stored in seen:
            if stored["is_unreferenced"] and in_time():
                with database.transaction() as connection:
                    connection.execute(_SQL["forget_segment"], stored)
                    forgotten += connection.execute(_SQL["forget_operations"], stored).rowcount
        if len(seen) < _OPERATIONS:
            break
        after = seen[-1]
    return forgotten


def _models(database: Database) -> list[int]:
    with database.transaction() as connection:
        return [model["id"] for model in connection.execute(_SQL["models"]).fetchall()]


def _forget_vectors(database: Database, model_id: int, days: int, in_time: Callable[[], bool]) -> int:
    """Look at vectors from a random key on, until a whole batch has nothing to drop; returns how many went.

    A key is a SHA-256: any batch is a fair sample of all, so that much is found where much is to be found.
    """
    forgotten = 0
    for after in (os.urandom(32), b""):
        more = True
        while more and in_time():
            values = {"model_id": model_id, "after": after, "days": days, "batch": _VECTORS}
            with database.transaction() as connection:
                seen = connection.execute(_SQL["vectors_after"], values).fetchall()
                unreferenced = [vector["text_hash"] for vector in seen if vector["is_unreferenced"]]
                dropped = _forget_unreferenced(connection, {**values, "text_hashes": unreferenced})
            forgotten += dropped or 0
            more = len(seen) == _VECTORS
            if more and dropped == 0:
                return forgotten
            after = seen[-1]["text_hash"] if seen else after
    return forgotten


def _forget_unreferenced(connection: Connection, values: dict[str, object]) -> int | None:
    """Return how many went; None where somebody counts on vectors just now, and it was not tried."""
    if not values["text_hashes"]:
        return 0
    lock = connection.execute(_SQL["shut_uploads_out"]).fetchone()
    if lock is None or not lock["is_shut"]:
        return None
    return connection.execute(_SQL["forget_vectors"], values).rowcount
