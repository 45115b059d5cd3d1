"""From every earlier schema to the current one, with what the first release left in it, a running job among it."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from opdex.catalog.rereading import Reread, reread_documents
from opdex.database import Connection
from opdex.http.keys_store import find_key
from opdex.migrations import migrate
from opdex.openapi import Limits
from tests.integration.engine import Engine
from tests.migrated_server import EMPTY, MigratedServer

_MIGRATIONS = Path(__file__).parents[2] / "migrations"
_NAMES = sorted(path.name for path in _MIGRATIONS.glob("*.sql"))
_RELEASES = Path(__file__).with_name("releases")
_OF_THE_FIRST_RELEASE = 5
_KEPT = ("catalogs", "specs", "revisions", "operations", "models", "vectors", "jobs", "job_events", "keys")


class Upgrade:
    """A database on its way through the releases."""

    def __init__(self, connection: Connection, folder: Path) -> None:
        self.connection = connection
        self._folder = folder

    def to(self, count: int = len(_NAMES)) -> None:
        """Apply the first so many migrations, as the release did that had them."""
        self._folder.mkdir(exist_ok=True)
        for name in _NAMES[:count]:
            shutil.copy(_MIGRATIONS / name, self._folder)
        migrate(self.connection, self._folder)

    def run(self, name: str) -> int:
        """Run what a release wrote; return the rows that its last statement touched."""
        return self.connection.execute((_RELEASES / name).read_bytes()).rowcount

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return a table's rows, in an order that does not change."""
        rows = self.connection.execute(f"SELECT * FROM {table}").fetchall()
        return sorted(rows, key=repr)


@pytest.fixture
def upgrade(empty_database_url: str, tmp_path: Path) -> Iterator[Upgrade]:
    with psycopg.connect(empty_database_url, autocommit=True, row_factory=dict_row) as connection:
        yield Upgrade(connection, tmp_path / "migrations")


@pytest.fixture
def engine(empty_database_url: str) -> Iterator[Engine]:
    engine = Engine(empty_database_url)
    yield engine
    engine.close()


def _schema(connection: Connection) -> list[dict[str, Any]]:
    return connection.execute((_RELEASES / "schema.sql").read_bytes()).fetchall()


@pytest.fixture(scope="module")
def schema_of_a_new_database(postgres: MigratedServer) -> list[dict[str, Any]]:
    """Migrated itself, not cloned: settings of a database are not cloned with it."""
    with (
        postgres.new_database(EMPTY) as url,
        psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection,
    ):
        migrate(connection, _MIGRATIONS)
        return _schema(connection)


@pytest.mark.parametrize("earlier", range(1, len(_NAMES)))
def test_schema_is_that_of_an_empty_database_when_migrated_from_an_earlier_one(
    upgrade: Upgrade, schema_of_a_new_database: list[dict[str, Any]], earlier: int
) -> None:
    if earlier >= _OF_THE_FIRST_RELEASE:
        upgrade.to(_OF_THE_FIRST_RELEASE)
        upgrade.run("issue_1.sql")
    upgrade.to(earlier)
    upgrade.to()

    assert _schema(upgrade.connection) == schema_of_a_new_database


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE jobs ALTER slices DROP NOT NULL",
        "ALTER TABLE jobs RESET (autovacuum_vacuum_threshold)",
        "ALTER TABLE jobs ADD CHECK (slices >= 0)",
        "DROP INDEX jobs_ready",
        "DROP TRIGGER store_operation ON operations",
        "DROP STATISTICS specs_seen",
    ],
)
def test_schema_is_told_apart_when_one_thing_differs(upgrade: Upgrade, change: str) -> None:
    upgrade.to()
    before = _schema(upgrade.connection)
    upgrade.connection.execute(change)
    assert _schema(upgrade.connection) != before


def test_every_row_is_kept_when_the_first_release_is_upgraded(upgrade: Upgrade) -> None:
    upgrade.to(_OF_THE_FIRST_RELEASE)
    upgrade.run("issue_1.sql")
    before = {table: upgrade.rows(table) for table in _KEPT}
    upgrade.to()

    for table, rows in before.items():
        columns = rows[0].keys()
        assert [{name: row[name] for name in columns} for row in upgrade.rows(table)] == rows, table
    key = find_key(upgrade.connection, "the-key-of-the-first-release-to-upgrade")
    assert key is not None
    assert key.role == "admin"


def test_no_text_is_made_anew_when_the_first_release_is_upgraded(upgrade: Upgrade, engine: Engine) -> None:
    upgrade.to(_OF_THE_FIRST_RELEASE)
    upgrade.run("issue_1.sql")
    upgrade.to()

    identity = engine.embedder.identity
    reread = reread_documents(engine.database, engine.wake_ups, Limits(), identity, workers=1, seconds=60)
    assert reread == Reread()


def test_job_finishes_when_the_first_release_is_upgraded_in_the_middle_of_it(upgrade: Upgrade, engine: Engine) -> None:
    upgrade.to(_OF_THE_FIRST_RELEASE)
    upgrade.run("issue_1.sql")
    upgrade.to()
    assert upgrade.run("issue_1_chunk.sql") == 4  # the old worker is still there, and goes on under its lease
    upgrade.connection.execute("UPDATE jobs SET lease_expires_at = now() WHERE status = 'running'")  # … and is gone

    assert engine.worker().outcomes(job_id=2) == ["published"]
    assert engine.embedder.texts == [f"under-way {position}" for position in range(8, 12)]
    assert upgrade.run("issue_1_chunk.sql") == 0  # what it had under way comes late
    published = engine.sql("SELECT spec_name, published_revision FROM specs ORDER BY id")
    assert published == [
        {"spec_name": "searched", "published_revision": 1},
        {"spec_name": "under-way", "published_revision": 1},
    ]
    job = engine.job(2)
    assert (job.status, job.attempts) == ("succeeded", 3)  # a worker that vanished is an attempt
