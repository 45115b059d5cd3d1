"""Keeping a catalog in place while something in it is written."""

from opdex.database import Connection, load_statements

_SQL = load_statements("opdex.catalog", "holding.sql")


def hold_catalog(connection: Connection, catalog_id: str) -> bool:
    """Keep a catalog from being deleted until the transaction ends, and return whether it is there.

    First of all locks in every transaction, so that one that is being deleted is waited for here or not found.
    """
    return connection.execute(_SQL["hold_catalog"], {"catalog_id": catalog_id}).fetchone() is not None
