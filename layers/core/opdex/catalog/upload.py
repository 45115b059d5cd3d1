"""Storing a document: the revision, its operations and the job that it needs, in the caller's one transaction."""

import gzip
import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Literal

from psycopg.types.json import Jsonb

from opdex.catalog.models import Changes, Link, Upload
from opdex.catalog.store import get_spec
from opdex.database import Connection, load_statements
from opdex.embedding.contract import ModelIdentity
from opdex.embedding.registry import register_model
from opdex.errors import CatalogNotFound
from opdex.jobs.enqueue import enqueue, unpark
from opdex.openapi import Description, Operation
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
    base_path = description.base_path if base_path is None else base_path
    content_sha256 = hashlib.sha256(raw).hexdigest()

    values = {"spec_id": spec_id, "revision": revision, "source_kind": source_kind, **source}
    stored = connection.execute(_SQL["stored_operations"], values).fetchall()
    changes = _compare(stored, description.operations)
    previous = connection.execute(_SQL["stored_revision"], values).fetchone()
    same = previous == {"content_sha256": content_sha256, "base_path": base_path}
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
                "webhooks": Jsonb([asdict(webhook) for webhook in description.webhooks]),
            },
        )
        _copy_operations(connection, spec_id, revision + 1, description.operations)
    connection.execute(_SQL["turn_to_revision"], values)
    job_id = _bring_to_search(connection, spec_id, model)
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


def _bring_to_search(connection: Connection, spec_id: int, identity: ModelIdentity) -> int | None:
    model = register_model(connection, identity)
    connection.execute(_SQL["hold_vectors"])
    values = {"spec_id": spec_id, "model_id": model.id}
    if connection.execute(_SQL["publish_if_embedded"], values).fetchone() is not None:
        unpark(connection, spec_id)
        return None
    return enqueue(connection, spec_id, "spec_write").job_id


def _compare(stored: list[dict[str, Any]], operations: tuple[Operation, ...]) -> Changes:
    before = _by_place((row["method"], row["path"], bytes(row["text_hash"])) for row in stored)
    after = _by_place((operation.method, operation.path, operation.text_hash) for operation in operations)
    kinds = Counter(
        "added" if key not in before else "unchanged" if before[key] == text_hash else "changed"
        for key, text_hash in after.items()
    )
    return Changes(
        added=kinds["added"],
        changed=kinds["changed"],
        removed=len(before.keys() - after.keys()),
        unchanged=kinds["unchanged"],
    )


def _by_place(operations: Iterable[tuple[str, str, bytes]]) -> dict[tuple[str, str, int], bytes]:
    # A document may name a path twice, in two spellings: the first and the second are two places.
    seen: Counter[tuple[str, str]] = Counter()
    places = {}
    for method, path, text_hash in operations:
        places[method, path, seen[method, path]] = text_hash
        seen[method, path] += 1
    return places


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
