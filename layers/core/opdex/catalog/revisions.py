"""A spec's revisions: what a document describes, written where it differs from the current one."""

import gzip
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from psycopg.types.json import Jsonb

from opdex.catalog.models import Changes
from opdex.catalog.segments import store_segment
from opdex.database import Connection, load_statements
from opdex.openapi import Description, Operation, operation_text

_SQL = load_statements("opdex.catalog", "revisions.sql")

# Fast rather than small: the document was most likely compressed better on its way here.
_GZIP_LEVEL = 2


def text_scheme() -> int:
    """Return the way in which this release makes texts; one that comes later is greater."""
    return int(operation_text.TEXT_SCHEME)


def store_revision(
    connection: Connection, spec_id: int, current: int, raw: bytes, description: Description, base_path: str
) -> tuple[int, Changes]:
    """Return the revision of a document and how it differs from the current one, whose spec the caller has locked.

    The same document that is read alike is the current one, 0 where there is none yet. Nothing turns to a new one here.
    """
    content_sha256 = hashlib.sha256(raw).hexdigest()
    values = {"spec_id": spec_id, "revision": current}
    stored = connection.execute(_SQL["stored_operations"], values).fetchall()
    changes = _compare(stored, description.operations)
    previous = connection.execute(_SQL["stored_revision"], values).fetchone()
    webhooks = [asdict(webhook) for webhook in description.webhooks]
    # A release that reads more of a document finds more in the same one.
    same = previous == {"content_sha256": content_sha256, "base_path": base_path, "webhooks": webhooks}
    if same and changes.unchanged == len(stored) == len(description.operations):
        note_text_scheme(connection, spec_id, current)
        return current, changes
    revision = current + 1
    connection.execute(
        _SQL["add_revision"],
        {
            **values,
            "revision": revision,
            "content_sha256": content_sha256,
            "content": gzip.compress(raw, _GZIP_LEVEL, mtime=0),
            "bytes": len(raw),
            "base_path": base_path,
            "title": description.title,
            "openapi_version": description.openapi_version,
            "operation_count": len(description.operations),
            "warnings": Jsonb([asdict(warning) for warning in description.warnings]),
            "webhooks": Jsonb(webhooks),
            "text_scheme": text_scheme(),
        },
    )
    _copy_operations(connection, spec_id, revision, description.operations)
    store_segment(connection, spec_id, revision, description.title, description.operations)
    return revision, changes


def note_text_scheme(connection: Connection, spec_id: int, revision: int) -> None:
    """Note that this release has nothing to change about the texts of a revision."""
    values = {"spec_id": spec_id, "revision": revision, "text_scheme": text_scheme()}
    connection.execute(_SQL["note_text_scheme"], values)


def _compare(stored: list[dict[str, Any]], operations: tuple[Operation, ...]) -> Changes:
    """Count by place, which is a method and a path; a document may name one twice, in two spellings."""
    before, after = _by_place(_as_read(row) for row in stored), _by_place(operations)
    counts: Counter[str] = Counter()
    for place in before.keys() | after.keys():
        old, new = before[place], after[place]
        gone, come = (old - new).total(), (new - old).total()
        changed = min(gone, come)
        counts.update(added=come - changed, changed=changed, removed=gone - changed, unchanged=(old & new).total())
    return Changes(**{kind: counts[kind] for kind in Changes.model_fields})


def _by_place(operations: Iterable[Operation]) -> defaultdict[tuple[str, str], Counter[Operation]]:
    places: defaultdict[tuple[str, str], Counter[Operation]] = defaultdict(Counter)
    for operation in operations:
        places[operation.method, operation.path][operation] += 1
    return places


def _as_read(row: dict[str, Any]) -> Operation:
    return Operation(**{**row, "tags": tuple(row["tags"]), "text": "", "text_hash": bytes(row["text_hash"])})


def _copy_operations(connection: Connection, spec_id: int, revision: int, operations: tuple[Operation, ...]) -> None:
    with connection.cursor() as cursor, cursor.copy(_SQL["copy_operations"]) as copy:
        for position, operation in enumerate(operations):
            name_words = " ".join(
                operation_text.words(f"{operation.path} {operation.operation_id} {' '.join(operation.tags)}")
            )
            copy.write_row(
                (
                    spec_id,
                    revision,
                    position,
                    operation.operation_id,
                    operation.method,
                    operation.path,
                    operation.summary,
                    operation.description,
                    list(operation.tags),
                    operation.deprecated,
                    operation.text,
                    operation.text_hash,
                    name_words,
                )
            )
