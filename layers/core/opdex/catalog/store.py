"""Catalogs and specs: create, list, read, update, delete. All in the caller's transaction."""

from psycopg.errors import UniqueViolation

from opdex.catalog.models import Catalog, Spec
from opdex.database import Connection, load_statements
from opdex.errors import CatalogExists, CatalogNotFound, SpecNotFound
from opdex.jobs.enqueue import cancel_of_catalog, cancel_of_spec

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
        raise catalog_exists(error, id, name, version) from None
    return get_catalog(connection, id)


def update_catalog(
    connection: Connection,
    catalog_id: str,
    *,
    name: str | None = None,
    version: str | None = None,
    display_name: str | None = None,
    description: str | None = None,
) -> Catalog:
    """Change what is given of a catalog. Raises CatalogNotFound, and CatalogExists on another's name and version."""
    before = get_catalog(connection, catalog_id)
    values = {"name": name, "version": version, "display_name": display_name, "description": description}
    try:
        connection.execute(_SQL["update_catalog"], {"id": catalog_id, **values})
    except UniqueViolation as error:
        raise catalog_exists(error, catalog_id, name or before.name, version or before.version) from None
    return get_catalog(connection, catalog_id)


def catalog_exists(error: UniqueViolation, catalog_id: str, name: str, version: str) -> CatalogExists:
    """Return the error for a catalog whose id, or whose name and version, another one has."""
    is_id = error.diag.constraint_name == "catalogs_pkey"
    same = f"the id '{catalog_id}'" if is_id else f"the name '{name}' and the version '{version}'"
    return CatalogExists(f"There is a catalog with {same} already.")


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
    connection.execute(_SQL["lock_specs"], values)
    cancel_of_catalog(connection, catalog_id)
    connection.execute(_SQL["delete_catalog"], values)


def list_specs(
    connection: Connection, catalog_id: str, limit: int | None = None, after: str | None = None
) -> list[Spec]:
    """Return a catalog's specs by name, from the one after ``after``. Raises CatalogNotFound."""
    values = {"catalog_id": catalog_id, "spec_name": None, "limit": limit, "after": after}
    rows = connection.execute(_SQL["list_specs"], values).fetchall()
    if not rows:
        get_catalog(connection, catalog_id)
    return [Spec(**row) for row in rows]


def get_spec(connection: Connection, catalog_id: str, spec_name: str) -> Spec:
    """Return one spec. Raises CatalogNotFound, SpecNotFound."""
    values = {"catalog_id": catalog_id, "spec_name": spec_name, "limit": 1, "after": None}
    row = connection.execute(_SQL["list_specs"], values).fetchone()
    if row is None:
        raise spec_not_found(connection, catalog_id, spec_name)
    return Spec(**row)


def require_spec_name(connection: Connection, spec_name: str) -> None:
    """Raise SpecNotFound where no catalog has a spec of this name."""
    if connection.execute(_SQL["has_spec_name"], {"spec_name": spec_name}).fetchone() is None:
        raise SpecNotFound(f"No catalog has a spec '{spec_name}'.")


def delete_spec(connection: Connection, catalog_id: str, spec_name: str) -> None:
    """Delete a spec; its job is cancelled and stays readable. Raises CatalogNotFound, SpecNotFound."""
    values = {"catalog_id": catalog_id, "spec_name": spec_name}
    row = connection.execute(_SQL["lock_spec"], values).fetchone()
    if row is None:
        raise spec_not_found(connection, catalog_id, spec_name)
    cancel_of_spec(connection, row["id"])
    connection.execute(_SQL["delete_spec"], {"spec_id": row["id"]})


def spec_not_found(connection: Connection, catalog_id: str, spec_name: str) -> SpecNotFound:
    """Return the error for a spec that is not there. Raises CatalogNotFound where the catalog itself is missing."""
    get_catalog(connection, catalog_id)
    return SpecNotFound(f"No spec '{spec_name}' in catalog '{catalog_id}'.")
