"""Cloning a catalog: all of its specs as they are at one moment, with nothing embedded again."""

from dataclasses import dataclass

from psycopg.errors import UniqueViolation

from opdex.catalog.holding import hold_catalog
from opdex.catalog.models import Catalog
from opdex.catalog.publication import publish_or_enqueue
from opdex.catalog.store import catalog_exists, get_catalog
from opdex.database import Connection, load_statements
from opdex.embedding.contract import ModelIdentity
from opdex.embedding.registry import register_model
from opdex.errors import CatalogNotFound

_SQL = load_statements("opdex.catalog", "clone.sql")


@dataclass(frozen=True, slots=True)
class Clone:
    """A new catalog, and the jobs of those of its specs that are yet to be embedded."""

    catalog: Catalog
    job_ids: tuple[int, ...]


def clone_catalog(
    connection: Connection,
    source_id: str,
    model: ModelIdentity,
    *,
    id: str,  # noqa: A002 - the contract's own word
    name: str,
    version: str,
    display_name: str = "",
    description: str | None = None,
) -> Clone:
    """Create a catalog with the specs of another one, each at its current and its published revision.

    Operations and vectors are shared. A spec that is not published yet, or under another model, gets a job of its own.
    ``description`` None is the source's. Raises CatalogNotFound, and CatalogExists as for a new catalog.
    """
    values = {
        "source_id": source_id, "id": id, "name": name, "version": version,
        "display_name": display_name, "description": description,
    }  # fmt: skip
    if not hold_catalog(connection, source_id):
        raise CatalogNotFound(f"No catalog '{source_id}'.")
    try:
        connection.execute(_SQL["clone_catalog"], values)
    except UniqueViolation as error:
        raise catalog_exists(error, id, name, version) from None
    specs = connection.execute(_SQL["hold_specs"], values).fetchall()
    connection.execute(_SQL["clone_specs"], {**values, "spec_ids": [spec["id"] for spec in specs]})
    registered = register_model(connection, model)
    waiting = connection.execute(_SQL["unpublished"], {**values, "model_id": registered.id}).fetchall()
    jobs = [publish_or_enqueue(connection, spec["id"], registered) for spec in waiting]
    return Clone(get_catalog(connection, id), tuple(job_id for job_id in jobs if job_id is not None))
