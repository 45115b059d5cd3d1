"""Storing a document as its spec's: the revision and the job that it needs, in the caller's one transaction."""

from dataclasses import asdict
from typing import Any, Literal

from opdex.catalog.holding import hold_catalog
from opdex.catalog.models import Link, Upload
from opdex.catalog.publication import publish_or_enqueue
from opdex.catalog.revisions import store_revision
from opdex.catalog.store import get_spec
from opdex.database import Connection, load_statements
from opdex.embedding.contract import ModelIdentity
from opdex.embedding.registry import register_model
from opdex.errors import CatalogNotFound
from opdex.openapi import Description
from opdex.openapi.base_path import normal_base_path

_SQL = load_statements("opdex.catalog", "upload.sql")


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
    if not hold_catalog(connection, catalog_id):
        raise CatalogNotFound(f"No catalog '{catalog_id}'.")
    names = {"catalog_id": catalog_id, "spec_name": spec_name, "source_kind": source_kind}
    spec, created = _locked_spec(connection, names)
    source = {"source_url": None, "etag": None, "last_modified": None, **(asdict(link) if link else {})}
    source["given_base_path"] = base_path if link else None
    base_path = description.base_path if base_path is None else normal_base_path(base_path)
    revision, changes = store_revision(connection, spec["id"], spec["current_revision"], raw, description, base_path)
    values = {"spec_id": spec["id"], "revision": revision, "source_kind": source_kind, **source}
    connection.execute(_SQL["turn_to_revision"], values)
    job_id = publish_or_enqueue(connection, spec["id"], register_model(connection, model))
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
