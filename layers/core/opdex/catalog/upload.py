"""Storing a document: the revision, its operations and the job that it needs, in the caller's one transaction."""

import gzip
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Literal

from psycopg.types.json import Jsonb

from opdex.catalog.models import Changes, Link, Upload
from opdex.catalog.publication import publish_or_enqueue
from opdex.catalog.segments import store_segment
from opdex.catalog.store import get_spec
from opdex.database import Connection, load_statements
from opdex.embedding.contract import ModelIdentity
from opdex.embedding.registry import register_model
from opdex.errors import CatalogNotFound
from opdex.openapi import Description, Operation
from opdex.openapi.base_path import normal_base_path
from opdex.openapi.operation_text import words

_SQL = load_statements("opdex.catalog", "upload.sql")

# Fast rather than small: the document was most likely compressed better on its way here.
_GZIP_LEVEL = 2


def store_document(
    connection: Connection,
    catalog_id: str,
    spec_name: str,
    raw: bytes,
    description: Description,
    source_kind: Literal["inline", "upload", "url"],
    base_path: str | None,
    model: ModelIdentity,
    *,
    link: Link | None = None,
) -> Upload:
    """Make the document the spec's current revision, and open the job that publishes it where one is needed.

    The same document again makes no revision. A revision whose texts all have vectors is published here, with no job.
    ``raw`` is the document's own octets; ``base_path`` overrides what the document says; ``link`` is where one of kind
    'url' was fetched. Raises CatalogNotFound.
    """
    if connection.execute(_SQL["hold_catalog"], {"catalog_id": catalog_id}).fetchone() is None:
        raise CatalogNotFound(f"No catalog '{catalog_id}'.")
    names = {"catalog_id": catalog_id, "spec_name": spec_name, "source_kind": source_kind}
    spec, created = _locked_spec(connection, names)
    spec_id, revision = spec["id"], spec["current_revision"]
    source = {"source_url": None, "etag": None, "last_modified": None, **(asdict(link) if link else {})}
    source["given_base_path"] = base_path if link else None
    base_path = description.base_path if base_path is None else normal_base_path(base_path)
    content_sha256 = hashlib.sha256(raw).hexdigest()

    values = {"spec_id": spec_id, "revision": revision, "source_kind": source_kind, **source}
    stored = connection.execute(_SQL["stored_operations"], values).fetchall()
    changes = _compare(stored, description.operations)
    previous = connection.execute(_SQL["stored_revision"], values).fetchone()
    webhooks = [asdict(webhook) for webhook in description.webhooks]
    # A release that reads more of a document finds more in the same one.
    same = previous == {"content_sha256": content_sha256, "base_path": base_path, "webhooks": webhooks}
    if not (same and changes.unchanged == len(stored) == len(description.operations)):
        values["revision"] = revision + 1
        connection.execute(
            _SQL["add_revision"],
            {
                **values,
                "content_sha256": content_sha256,
                "content": gzip.compress(raw, _GZIP_LEVEL, mtime=0),
                "bytes": len(raw),
                "base_path": base_path,
                "title": description.title,
                "openapi_version": description.openapi_version,
                "operation_count": len(description.operations),
                "warnings": Jsonb([asdict(warning) for warning in description.warnings]),
                "webhooks": Jsonb(webhooks),
            },
        )
        _copy_operations(connection, spec_id, revision + 1, description.operations)
        store_segment(connection, spec_id, revision + 1, description.title, description.operations)
    connection.execute(_SQL["turn_to_revision"], values)
    job_id = publish_or_enqueue(connection, spec_id, register_model(connection, model))
    return Upload(spec=get_spec(connection, catalog_id, spec_name), created=created, changes=changes, job_id=job_id)


def _locked_spec(connection: Connection, names: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    while True:
        spec = connection.execute(_SQL["create_spec"], names).fetchone()
        if spec is not None:
            return spec, True
        spec = connection.execute(_SQL["lock_spec"], names).fetchone()
        if spec is not None:
            return spec, False
        # Deleted between the two statements: the next round creates it.


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
            name_words = " ".join(words(f"{operation.path} {operation.operation_id} {' '.join(operation.tags)}"))
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
