"""The stored segments: written with a revision, made again where the way of making them has changed."""

import gzip
import time
from collections.abc import Iterable, Sequence
from typing import Any

from opdex.database import Connection, Database, load_statements
from opdex.errors import DocumentError
from opdex.observability import logger
from opdex.openapi import Limits, Operation, describe
from opdex.ranking.segment_builder import SCHEME, build_segment

_SQL = load_statements("opdex.catalog", "segments.sql")

type Origin = tuple[int, int]  # the spec's id and the revision that the operations are stored under


def store_segment(
    connection: Connection, spec_id: int, revision: int, title: str, operations: Sequence[Operation]
) -> None:
    """Make and store the segment of a revision, in the caller's transaction; one without operations needs none."""
    if not operations:
        return
    values = {"spec_id": spec_id, "revision": revision, "scheme": SCHEME, "octets": build_segment(title, operations)}
    connection.execute(_SQL["store_segment"], values)


def read_segments(connection: Connection, origins: Iterable[Origin]) -> dict[Origin, bytes]:
    """Return the octets of each segment that is stored and up to date."""
    wanted = list(origins)
    values: dict[str, Any] = {
        "spec_ids": [spec_id for spec_id, _ in wanted],
        "revisions": [revision for _, revision in wanted],
        "scheme": SCHEME,
    }
    rows = connection.execute(_SQL["read_segments"], values, binary=True).fetchall()
    return {(row["spec_id"], row["revision"]): bytes(row["octets"]) for row in rows}


def make_segment(connection: Connection, origin: Origin) -> bytes:
    """Return a segment made of the stored operations, for one that is missing or was made in another way.

    It knows no names of parameters and schemas, as the one does that the sweep is going to store.
    """
    spec_id, revision = origin
    row = connection.execute(_SQL["read_title"], {"spec_id": spec_id, "revision": revision}).fetchone()
    return build_segment(row["title"] if row else "", _stored_operations(connection, origin))


def rebuild_segments(database: Database, limits: Limits, *, seconds: float) -> int:
    """Make the segments anew that search sees and that are not up to date, for so many seconds; returns how many."""
    ends_at = time.monotonic() + seconds
    rebuilt = 0
    after = {"spec_id": 0, "revision": 0, "scheme": SCHEME}
    while time.monotonic() < ends_at:
        with database.transaction() as connection:
            revision = connection.execute(_SQL["outdated"], after).fetchone()
        if revision is None:
            break
        after |= {"spec_id": revision["spec_id"], "revision": revision["revision"]}
        with database.transaction() as connection:
            stored = _stored_operations(connection, (after["spec_id"], after["revision"]))
            operations = _described(revision["content"], limits, stored)
            store_segment(connection, after["spec_id"], after["revision"], revision["title"], operations)
        rebuilt += 1
    return rebuilt


def _described(content: bytes, limits: Limits, stored: list[Operation]) -> Sequence[Operation]:
    """Return the operations as the document describes them, where they still are the stored ones; else those."""
    try:
        described = describe(gzip.decompress(content), limits).operations
    except DocumentError as error:
        logger.warning("stored document not read again", error_code=error.code)
        return stored
    return described if [*map(_place, described)] == [*map(_place, stored)] else stored


def _place(operation: Operation) -> tuple[str, str, bytes]:
    return operation.method, operation.path, operation.text_hash


def _stored_operations(connection: Connection, origin: Origin) -> list[Operation]:
    spec_id, revision = origin
    rows = connection.execute(_SQL["read_operations"], {"spec_id": spec_id, "revision": revision}).fetchall()
    return [Operation(**{**row, "tags": tuple(row["tags"]), "text_hash": bytes(row["text_hash"])}) for row in rows]
