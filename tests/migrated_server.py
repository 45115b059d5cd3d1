"""A real Postgres whose template database is migrated; tests get clones of it."""

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from local.postgres import EmbeddedPostgres
from local.scratch import scratch_folder
from opdex.migrations import migrate

MIGRATED, EMPTY = "migrated", "template0"
_MIGRATIONS = Path(__file__).parents[1] / "migrations"
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class MigratedServer:
    """A running server, by the URL of its maintenance database."""

    maintenance_url: str

    def url(self, database: str) -> str:
        """Return the URL of one of its databases."""
        return f"{self.maintenance_url.rpartition('/')[0]}/{database}"

    @contextmanager
    def new_database(self, template: str = MIGRATED) -> Iterator[str]:
        """Make a database for the block, a clone of ``template``; gives its URL."""
        database = f"test_{os.getpid()}_{next(_numbers)}"
        name = sql.Identifier(database)
        self.administer(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(name, sql.Identifier(template))
        )
        try:
            yield self.url(database)
        finally:
            self.administer(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))

    def make_template(self) -> None:
        """Make the database that others are cloned from."""
        self.administer(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(MIGRATED)))
        with psycopg.connect(self.url(MIGRATED), row_factory=dict_row) as connection:
            migrate(connection, _MIGRATIONS)

    def administer(self, statement: sql.Composed) -> None:
        """Run a statement outside a transaction."""
        with psycopg.connect(self.maintenance_url, autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def started_server(owner: Path, programs: Path | None = None) -> Iterator[MigratedServer]:
    """Run a server for the block, in a scratch folder named after ``owner``; ``programs`` are another release's."""
    with (
        scratch_folder(owner) as folder,
        EmbeddedPostgres(folder, durable=False, programs=programs) as postgres,
    ):
        server = MigratedServer(postgres.url("postgres"))
        server.make_template()
        yield server
