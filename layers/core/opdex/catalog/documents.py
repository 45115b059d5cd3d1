"""What is stored of a spec's document: its octets, and its operations."""

from dataclasses import dataclass

from opdex.catalog.models import ListedOperation
from opdex.catalog.store import get_spec, spec_not_found
from opdex.database import Connection, load_statements
from opdex.errors import MalformedRequest, OperationNotFound

_SQL = load_statements("opdex.catalog", "documents.sql")


@dataclass(frozen=True, slots=True)
class Content:
    """The document of a spec's current revision as gzip, and the SHA-256 of what it unpacks to."""

    gzip: bytes
    sha256: str


def read_content(connection: Connection, catalog_id: str, spec_name: str) -> Content:
    """Return the current document of a spec. Raises CatalogNotFound, SpecNotFound."""
    row = connection.execute(_SQL["content"], {"catalog_id": catalog_id, "spec_name": spec_name}).fetchone()
    if row is None:
        raise spec_not_found(connection, catalog_id, spec_name)
    return Content(bytes(row["content"]), row["content_sha256"])


@dataclass(frozen=True, slots=True)
class Listing:
    """Some of the operations of a revision, in the document's order."""

    revision: int
    operations: list[ListedOperation]


def list_operations(
    connection: Connection, catalog_id: str, spec_name: str, limit: int, revision: int | None = None, start: int = 0
) -> Listing:
    """Return operations of a spec from position ``start`` on, of its current revision or of the one given.

    Raises CatalogNotFound, SpecNotFound, and MalformedRequest on a revision that is not stored.
    """
    values = {"catalog_id": catalog_id, "spec_name": spec_name, "revision": revision}
    found = connection.execute(_SQL["revision"], values).fetchone()
    if found is None:
        if revision is None:
            raise spec_not_found(connection, catalog_id, spec_name)
        get_spec(connection, catalog_id, spec_name)  # where the spec itself is missing, that is the answer
        raise MalformedRequest(
            "The document that this list was of is not stored any longer; begin with the first page."
        )
    rows = connection.execute(_SQL["operations"], {**found, "start": start, "limit": limit}).fetchall()
    named = {"catalog_id": catalog_id, "spec_name": spec_name}
    return Listing(found["revision"], [ListedOperation(**row, **named) for row in rows])


@dataclass(frozen=True, slots=True)
class StoredOperation:
    """An operation of the revision that search shows; ``position`` is its place among those of the document."""

    operation: ListedOperation
    spec_id: int
    revision: int
    position: int
    content_sha256: str
    base_path: str


def find_operation(connection: Connection, catalog_id: str, spec_name: str, operation: str) -> StoredOperation:
    """Return the operation of a spec that has this id, or else the first at this "METHOD /path".

    Raises CatalogNotFound, SpecNotFound, OperationNotFound.
    """
    named = {"catalog_id": catalog_id, "spec_name": spec_name}
    row = connection.execute(_SQL["find_operation"], {**named, "operation": operation}).fetchone()
    if row is None:
        get_spec(connection, catalog_id, spec_name)  # where the spec itself is missing, that is the answer
        raise OperationNotFound(f"No operation {operation!r} in spec '{spec_name}' of catalog '{catalog_id}'.")
    listed = ListedOperation(**{name: row[name] for name in ListedOperation.model_fields if name in row}, **named)
    stored = {name: row[name] for name in ("spec_id", "revision", "position", "content_sha256", "base_path")}
    return StoredOperation(operation=listed, **stored)


def content_of_revision(connection: Connection, operation: StoredOperation) -> bytes:
    """Return the document that an operation is of, as gzip. Raises OperationNotFound where it was deleted meanwhile."""
    values = {"spec_id": operation.spec_id, "revision": operation.revision}
    row = connection.execute(_SQL["content_of_revision"], values).fetchone()
    if row is None:
        raise OperationNotFound
    return bytes(row["content"])
