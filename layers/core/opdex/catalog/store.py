"""Catalogs and specs: create, list, read, delete. All in the caller's transaction."""

from psycopg.errors import UniqueViolation

from opdex.catalog.models import Catalog, Spec
from opdex.database import Connection, load_statements
from opdex.errors import CatalogExists, CatalogNotFound, SpecNotFound
from opdex.jobs.enqueue import cancel_of_spec

_SQL = load_statements("opdex.catalog", "store.sql")


def create_catalog(
    connection: Connection,
    *,
    id: str,  # noqa: A002 - the contract's own word
    name: str,
    version: str,
    display_name: str = "",
    description: str = "",
) -> Catalog:
    """Create a catalog. Raises CatalogExists on the same id, or the same name and version."""
    values = {"id": id, "name": name, "version": version, "display_name": display_name, "description": description}
    try:
        connection.execute(_SQL["create_catalog"], values)
    except UniqueViolation as error:
        same = f"the id '{id}'" if error.diag.constraint_name == "catalogs_pkey" else f"'{name}' version '{version}'"
        raise CatalogExists(f"There is a catalog with {same} already.") from None
    return get_catalog(connection, id)


def list_catalogs(connection: Connection, limit: int, after: str | None = None) -> list[Catalog]:
    """Return catalogs by id, from the one after ``after``."""
    rows = connection.execute(_SQL["list_catalogs"], {"id": None, "limit": limit, "after": after}).fetchall()
    return [Catalog(**row) for row in rows]


def get_catalog(connection: Connection, catalog_id: str) -> Catalog:
    """Return one catalog. Raises CatalogNotFound."""
    values = {"id": catalog_id, "limit": 1, "after": None}
    row = connection.execute(_SQL["list_catalogs"], values).fetchone()
    if row is None:
        raise CatalogNotFound(f"No catalog '{catalog_id}'.")
    return Catalog(**row)


def delete_catalog(connection: Connection, catalog_id: str) -> None:
    """Delete a catalog with all its specs; their jobs are cancelled and stay readable. Raises CatalogNotFound."""
    values = {"catalog_id": catalog_id}
    if connection.execute(_SQL["lock_catalog"], values).fetchone() is None:
        raise CatalogNotFound(f"No catalog '{catalog_id}'.")
    for spec in connection.execute(_SQL["lock_specs"], values).fetchall():
        cancel_of_spec(connection, spec["id"])
    connection.execute(_SQL["delete_catalog"], values)


def list_specs(connection: Connection, catalog_id: str) -> list[Spec]:
    """Return a catalog's specs by name. Raises CatalogNotFound."""
    rows = connection.execute(_SQL["list_specs"], {"catalog_id": catalog_id, "spec_name": None}).fetchall()
    if not rows:
        get_catalog(connection, catalog_id)
    return [Spec(**row) for row in rows]


def get_spec(connection: Connection, catalog_id: str, spec_name: str) -> Spec:
    """Return one spec. Raises CatalogNotFound, SpecNotFound."""
    row = connection.execute(_SQL["list_specs"], {"catalog_id": catalog_id, "spec_name": spec_name}).fetchone()
    if row is None:
        raise _no_spec(connection, catalog_id, spec_name)
    return Spec(**row)


def delete_spec(connection: Connection, catalog_id: str, spec_name: str) -> None:
    """Delete a spec; its job is cancelled and stays readable. Raises CatalogNotFound, SpecNotFound."""
    values = {"catalog_id": catalog_id, "spec_name": spec_name}
    row = connection.execute(_SQL["lock_spec"], values).fetchone()
    if row is None:
        raise _no_spec(connection, catalog_id, spec_name)
    cancel_of_spec(connection, row["id"])
    connection.execute(_SQL["delete_spec"], {"spec_id": row["id"]})


def _no_spec(connection: Connection, catalog_id: str, spec_name: str) -> SpecNotFound:
    get_catalog(connection, catalog_id)  # where the catalog itself is missing, that is the answer
    return SpecNotFound(f"No spec '{spec_name}' in catalog '{catalog_id}'.")
