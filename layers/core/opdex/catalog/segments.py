"""The stored segments: written with a revision, made again where the way of making them has changed."""

import gzip
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from opdex.database import Connection, Database, load_statements
from opdex.errors import DatabaseUnavailable, DocumentError, OpdexError
from opdex.observability import described, logger
from opdex.openapi import Limits, Operation, describe
from opdex.ranking.bm25f import MAX_DESCRIPTION
from opdex.ranking.segment_builder import SCHEME, build_segment

_SQL = load_statements("opdex.catalog", "segments.sql")
_BATCH: Final = 200

type Origin = tuple[int, int]  # the spec's id and the revision that the operations are stored under


@dataclass(frozen=True, slots=True)
class Extent:
    """How many operations, and octets of UTF-8 that their words are in, a segment is made of.

    A character of Chinese has three, and is a word.
    """

    operations: int
    octets: int

    def holds(self, operations: Sequence[Operation]) -> bool:
        """Return whether a segment of these operations is no larger than this."""
        return len(operations) <= self.operations and sum(map(_octets, operations)) <= self.octets


# What is made while a client waits. Of such an extent it takes up to 3 s, and 11 s where no word comes twice; within a
# search 0.5 and 2 s. The largest document that is accepted takes more than 20 s; the sweep has the time for it.
AT_UPLOAD: Final = Extent(operations=20_000, octets=5_000_000)
WITHIN_A_SEARCH: Final = Extent(operations=2_000, octets=600_000)


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """How many segments were made anew, and how many could not be."""

    segments: int = 0
    failures: int = 0


def store_segment(
    connection: Connection, spec_id: int, revision: int, title: str, operations: Sequence[Operation]
) -> None:
    """Make and store the segment of a new revision, in the caller's transaction; one without operations needs none.

    What is larger than ``AT_UPLOAD`` is left to :func:`rebuild_segments`.
    """
    if operations and AT_UPLOAD.holds(operations):
        _store(connection, (spec_id, revision), build_segment(title, operations))


def segment_sizes(connection: Connection, origins: Iterable[Origin]) -> dict[Origin, int]:
    """Return how many octets each segment has that is stored and up to date."""
    rows = connection.execute(_SQL["segment_sizes"], _wanted(origins)).fetchall()
    return {(row["spec_id"], row["revision"]): row["size"] for row in rows}


def read_segments(connection: Connection, origins: Iterable[Origin]) -> dict[Origin, bytes]:
    """Return the octets of each segment that is stored and up to date."""
    rows = connection.execute(_SQL["read_segments"], _wanted(origins), binary=True).fetchall()
    return {(row["spec_id"], row["revision"]): bytes(row["octets"]) for row in rows}


def make_segment(connection: Connection, origin: Origin) -> bytes | None:
    """Return a segment made of the stored operations; None where it would be larger than ``WITHIN_A_SEARCH``.

    It knows no names of parameters and schemas, as the one does that the sweep is going to store.
    """
    row = connection.execute(_SQL["read_title"], _place(origin)).fetchone()
    if row is not None and row["operation_count"] > WITHIN_A_SEARCH.operations:
        return None
    operations = _stored_operations(connection, origin)
    if not WITHIN_A_SEARCH.holds(operations):
        return None
    return build_segment(row["title"] if row else "", operations)


def rebuild_segments(database: Database, limits: Limits, *, seconds: float) -> Rebuilt:
    """Make the segments that search needs and that are not stored; no other one begins after so many seconds.

    One that fails keeps none of the others waiting. Raises DatabaseUnavailable.
    """
    ends_at = time.monotonic() + seconds
    made = failures = 0
    values = {"scheme": SCHEME, "large": AT_UPLOAD.operations, "batch": _BATCH}
    after: dict[str, Any] = {"is_large": False, "spec_id": 0, "revision": 0}
    outdated: list[dict[str, Any]] = []
    while time.monotonic() < ends_at:
        if not outdated:
            with database.transaction() as connection:
                outdated = connection.execute(_SQL["outdated"], values | after).fetchall()
            if not outdated:
                break
        revision = outdated.pop(0)
        after = {name: revision[name] for name in after}
        try:
            made += _rebuild(database, limits, revision)
        except DatabaseUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, search waits for the others too
            failures += 1
            logger.error("segment not made", error_code=_code(error), errors=described(error), **after)
    return Rebuilt(made, failures)


def forget_segments(database: Database, *, seconds: float) -> int:
    """Drop the segments of revisions that are gone, and in time those of other schemes; returns how many."""
    ends_at = time.monotonic() + seconds
    forgotten = 0
    after = {"spec_id": 0, "revision": 0, "after_scheme": 0, "scheme": SCHEME, "batch": _BATCH}
    more = True
    while more and time.monotonic() < ends_at:
        with database.transaction() as connection:
            batch = connection.execute(_SQL["forget_segments"], after).fetchone()
        if batch is None:
            break
        forgotten += batch["forgotten"]
        more = batch["more"]
        after |= {name: batch[name] for name in ("spec_id", "revision", "after_scheme")}
    return forgotten


def _rebuild(database: Database, limits: Limits, revision: dict[str, Any]) -> bool:
    """Make one segment and store it; False where its revision went meanwhile."""
    origin = revision["spec_id"], revision["revision"]
    with database.transaction() as connection:
        document = connection.execute(_SQL["read_document"], revision).fetchone()
        stored = _stored_operations(connection, origin)
    if document is None:
        return False
    octets = build_segment(document["title"], _described(document["content"], limits, stored))
    with database.transaction() as connection:
        if connection.execute(_SQL["hold_revision"], revision).fetchone() is None:
            return False
        _store(connection, origin, octets)
    return True


def _described(content: bytes, limits: Limits, stored: list[Operation]) -> Sequence[Operation]:
    """Return the operations as the document describes them, with the stored texts' hashes; else the stored ones.

    Those are returned where the document describes others. Vectors are found by the stored hashes, whatever a newer
    release would make of the texts.
    """
    try:
        operations = describe(gzip.decompress(content), limits).operations
    except DocumentError as error:
        logger.warning("stored document not read again", error_code=error.code)
        return stored
    if [*map(_place_of, operations)] != [*map(_place_of, stored)]:
        logger.warning("stored document says other operations", described=len(operations), stored=len(stored))
        return stored
    return [replace(said, text_hash=kept.text_hash) for said, kept in zip(operations, stored, strict=True)]


def _place_of(operation: Operation) -> tuple[str, str]:
    return operation.method, operation.path


def _stored_operations(connection: Connection, origin: Origin) -> list[Operation]:
    rows = connection.execute(_SQL["read_operations"], _place(origin)).fetchall()
    return [Operation(**{**row, "tags": tuple(row["tags"]), "text_hash": bytes(row["text_hash"])}) for row in rows]


def _store(connection: Connection, origin: Origin, octets: bytes) -> None:
    connection.execute(_SQL["store_segment"], {**_place(origin), "scheme": SCHEME, "octets": octets})


def _place(origin: Origin) -> dict[str, Any]:
    return {"spec_id": origin[0], "revision": origin[1]}


def _wanted(origins: Iterable[Origin]) -> dict[str, Any]:
    wanted = list(origins)
    return {
        "spec_ids": [spec_id for spec_id, _ in wanted],
        "revisions": [revision for _, revision in wanted],
        "scheme": SCHEME,
    }


def _code(error: Exception) -> str:
    return error.code if isinstance(error, OpdexError) else OpdexError.code


def _octets(operation: Operation) -> int:
    fields = operation.fields
    said = (operation.path, operation.operation_id, operation.summary, operation.description[:MAX_DESCRIPTION])
    texts = (*said, *operation.tags, *(getattr(fields, name) for name in fields.__slots__))
    return sum(len(text.encode()) for text in texts)
