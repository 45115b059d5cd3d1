"""A real Postgres: one server a run, one fresh database a test, cloned from a migrated template."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from local.postgres import EmbeddedPostgres
from local.scratch import scratch_folder
from opdex.migrations import migrate
from tests.integration.engine import Engine

_MIGRATIONS = Path(__file__).parents[1] / "migrations"
_TEMPLATE = "migrated"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """The server; its template database is migrated. OPDEX_POSTGRES names the bin folder of another release of it."""
    other = os.environ.get("OPDEX_POSTGRES")
    programs = Path(other).resolve() if other else None
    with (
        scratch_folder(tmp_path_factory.getbasetemp()) as folder,
        EmbeddedPostgres(folder, durable=False, programs=programs) as server,
    ):
        _administer(server, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_TEMPLATE)))
        with psycopg.connect(server.url(_TEMPLATE), row_factory=dict_row) as connection:
            migrate(connection, _MIGRATIONS)
        yield server


@pytest.fixture(scope="session")
def postgres_url(postgres: EmbeddedPostgres) -> str:
    """The URL of the server's maintenance database."""
    return postgres.url("postgres")


@pytest.fixture(scope="session")
def migrated_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """The URL of one database with the current schema, for tests that write nothing."""
    yield from _new_database(postgres, template=_TEMPLATE)


@pytest.fixture
def empty_database_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """The URL of a new database that has no schema yet."""
    yield from _new_database(postgres, template="template0")


@pytest.fixture
def database_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """The URL of a new database with the current schema."""
    yield from _new_database(postgres, template=_TEMPLATE)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """The real store on a new database."""
    engine = Engine(database_url)
    yield engine
    engine.close()


def _new_database(server: EmbeddedPostgres, template: str) -> Iterator[str]:
    name = sql.Identifier(database := f"test_{next(_numbers)}")
    _administer(
        server, sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(name, sql.Identifier(template))
    )
    yield server.url(database)
    _administer(server, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def _administer(server: EmbeddedPostgres, statement: sql.Composed) -> None:
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(statement)
