"""Every named SQL statement is one that the migrated schema takes."""

import re
from collections.abc import Iterator
from importlib.resources import files

import psycopg
import pytest
from psycopg.pq import ExecStatus

from opdex.database import load_statements

_PACKAGES = ("opdex.catalog", "opdex.embedding", "opdex.http", "opdex.jobs", "opdex.search")
_STATEMENTS = [
    pytest.param(statement, id=f"{package}.{name}")
    for package in _PACKAGES
    for file in sorted(entry.name for entry in files(package).iterdir() if entry.name.endswith(".sql"))
    for name, statement in load_statements(package, file).items()
]


@pytest.fixture(scope="module")
def connection(migrated_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(migrated_url, autocommit=True) as connection:
        yield connection


def test_statements_are_found_when_the_packages_are_listed() -> None:
    assert len(_STATEMENTS) > 50


@pytest.mark.parametrize("statement", _STATEMENTS)
def test_statement_is_prepared_when_the_schema_is_migrated(connection: psycopg.Connection, statement: str) -> None:
    names = sorted(set(re.findall(r"%\((\w+)\)s", statement)))
    numbered = re.sub(r"%\((\w+)\)s", lambda match: f"${names.index(match[1]) + 1}", statement)
    assert "%" not in numbered, "a parameter is not named"

    result = connection.pgconn.prepare(b"", numbered.encode())

    assert result.status == ExecStatus.COMMAND_OK, result.error_message.decode()
