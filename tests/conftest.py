"""A real Postgres: one server a run, one fresh database a test, cloned from a migrated template."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.integration.engine import Engine
from tests.migrated_server import EMPTY, MigratedServer, started_server

_E2E = Path(__file__).with_name("e2e")

# No test fails by the time that it takes: machines are slow at times.
settings.register_profile(
    "untimed", parent=settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("untimed")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Octets are told apart by number: gzip has the time in them, and both processes have to find the same tests."""
    return argname if isinstance(val, bytes) else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where tests run side by side, running systems take turns, and the tests of a file share what they started."""
    for item in items:
        group = "e2e" if _E2E in item.path.parents else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MigratedServer]:
    """The server; its template database is migrated. OPDEX_POSTGRES names the bin folder of another release of it.

    OPDEX_TEST_SERVER is the maintenance URL of one that runs already, for many short runs.
    """
    running = os.environ.get("OPDEX_TEST_SERVER")
    if running:
        yield MigratedServer(running)
        return
    other = os.environ.get("OPDEX_POSTGRES")
    with started_server(tmp_path_factory.getbasetemp(), Path(other).resolve() if other else None) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_url(postgres: MigratedServer) -> str:
    """The URL of the server's maintenance database."""
    return postgres.maintenance_url


@pytest.fixture(scope="session")
def migrated_url(postgres: MigratedServer) -> Iterator[str]:
    """The URL of one database with the current schema, for tests that write nothing."""
    with postgres.new_database() as url:
        yield url


@pytest.fixture
def empty_database_url(postgres: MigratedServer) -> Iterator[str]:
    """The URL of a new database that has no schema yet."""
    with postgres.new_database(EMPTY) as url:
        yield url


@pytest.fixture
def database_url(postgres: MigratedServer) -> Iterator[str]:
    """The URL of a new database with the current schema."""
    with postgres.new_database() as url:
        yield url


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """The real store on a new database."""
    engine = Engine(database_url)
    yield engine
    engine.close()
