"""Brings the schema up to date: ``migrations/NNNN_name.sql``, forward only, never edited once applied."""

import importlib.util
import re
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import psycopg

from opdex.database import Connection
from opdex.errors import MigrationFailed
from opdex.session_guards import guard_sessions

_FILE_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
# Any number will do, as long as nothing else in this database locks the same one.
_LOCK = 0x0FDE_0001


class Migration(NamedTuple):
    """One SQL file."""

    version: int
    name: str
    sql: bytes

    @property
    def sha256(self) -> str:
        """The checksum under which it is recorded."""
        return sha256(self.sql).hexdigest()


def deployed_folder() -> Path:
    """Return the folder of migrations that is deployed beside this package. Raises MigrationFailed."""
    package = importlib.util.find_spec("migrations")
    if package is None or not package.submodule_search_locations:
        raise MigrationFailed("The migrations were not deployed: attach MigrationsLayer to MigrateFunction.")
    return Path(next(iter(package.submodule_search_locations)))


def migrate(connection: Connection, folder: Path) -> list[str]:
    """Apply what is new in ``folder``, all of it or nothing, and return the names. Raises MigrationFailed.

    Concurrent calls wait for each other. Migrations of a newer release are left alone, since a rollback brings the
    older code back to their schema.
    """
    migrations = _read(folder)
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations (version integer PRIMARY KEY, name text NOT NULL,"
            " sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        rows = connection.execute("SELECT version, name, sha256 FROM schema_migrations ORDER BY version").fetchall()
        applied = {row["version"]: (row["name"], row["sha256"]) for row in rows}
        _check(migrations, applied)
        new = [migration for migration in migrations if migration.version not in applied]
        for migration in new:
            _apply(connection, migration)
        guard_sessions(connection)
    return [migration.name for migration in new]


def _read(folder: Path) -> list[Migration]:
    migrations: dict[int, Migration] = {}
    for path in sorted(folder.glob("*.sql")):
        match = _FILE_NAME.fullmatch(path.name)
        if match is None:
            raise MigrationFailed(f"Rename {path.name}: a migration is called NNNN_what_it_does.sql.")
        migration = Migration(int(match[1]), path.name, path.read_bytes())
        if migration.version in migrations:
            raise MigrationFailed(f"{migrations[migration.version].name} and {path.name} have the same number.")
        migrations[migration.version] = migration
    if not migrations:
        raise MigrationFailed(f"There is no migration in {folder}.")
    return list(migrations.values())


def _check(migrations: list[Migration], applied: dict[int, tuple[str, str]]) -> None:
    known = {migration.version: migration for migration in migrations}
    newest_applied = max(applied, default=0)
    for version, (name, checksum) in applied.items():
        if version not in known:
            if version < migrations[-1].version:
                raise MigrationFailed(f"{name} was applied to this database, but its file is missing: restore it.")
        elif known[version].sha256 != checksum:
            raise MigrationFailed(f"{name} was edited after it was applied: restore it, and add a new migration.")
    for version, migration in known.items():
        if version not in applied and version < newest_applied:
            raise MigrationFailed(f"{migration.name} comes before one that was applied: give it a higher number.")


def _apply(connection: Connection, migration: Migration) -> None:
    try:
        connection.execute(migration.sql)
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        raise MigrationFailed(f"{migration.name} failed, nothing was applied: {error}") from error
    connection.execute(
        "INSERT INTO schema_migrations (version, name, sha256) VALUES (%s, %s, %s)",
        [migration.version, migration.name, migration.sha256],
    )
