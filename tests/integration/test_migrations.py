"""The migration runner on a real database."""

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row
from pydantic import SecretStr

from opdex.database import Connection, Database
from opdex.errors import DatabaseUnavailable, MigrationFailed
from opdex.migrations import migrate
from opdex.session_guards import GUARDS, guard_sessions
from opdex.settings import DatabaseSettings

MIGRATIONS = Path(__file__).parents[2] / "migrations"
_LONGEST_SECONDS = 30.0


@pytest.fixture
def connection(empty_database_url: str) -> Iterator[Connection]:
    with psycopg.connect(empty_database_url, autocommit=True, row_factory=dict_row) as connection:
        yield connection


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(MIGRATIONS, tmp_path / "migrations"))


def _recorded(connection: Connection) -> list[str]:
    return [row["name"] for row in connection.execute("SELECT name FROM schema_migrations ORDER BY version")]


def _next_number(folder: Path) -> int:
    return int(max(path.name for path in folder.iterdir())[:4]) + 1


def test_migrate_applies_everything_in_order_when_the_database_is_empty(connection: Connection, folder: Path) -> None:
    names = sorted(path.name for path in folder.iterdir())
    assert migrate(connection, folder) == names
    assert _recorded(connection) == names


def test_migrate_does_nothing_when_run_again(connection: Connection, folder: Path) -> None:
    migrate(connection, folder)
    assert migrate(connection, folder) == []


def test_migrate_applies_only_the_new_one_when_one_is_added(connection: Connection, folder: Path) -> None:
    migrate(connection, folder)
    added = folder / f"{_next_number(folder):04}_add_colours.sql"
    added.write_text("CREATE TABLE colours (name text);\nINSERT INTO colours VALUES ('100% red');")
    assert migrate(connection, folder) == [added.name]
    assert connection.execute("SELECT name FROM colours").fetchall() == [{"name": "100% red"}]


def test_migrate_names_the_file_when_an_applied_one_was_edited(connection: Connection, folder: Path) -> None:
    migrate(connection, folder)
    edited = sorted(folder.iterdir())[1]
    edited.write_text(edited.read_text() + "-- one more thought\n")
    with pytest.raises(MigrationFailed, match=f"{edited.name} was edited"):
        migrate(connection, folder)


def test_migrate_names_the_file_when_an_applied_one_is_missing(connection: Connection, folder: Path) -> None:
    migrate(connection, folder)
    missing = sorted(folder.iterdir())[0]
    missing.unlink()
    with pytest.raises(MigrationFailed, match=rf"{missing.name} was applied.*missing"):
        migrate(connection, folder)


def test_migrate_leaves_newer_migrations_alone_when_older_code_comes_back(connection: Connection, folder: Path) -> None:
    migrate(connection, folder)
    max(folder.iterdir()).unlink()
    assert migrate(connection, folder) == []


def test_migrate_names_the_file_when_it_comes_before_an_applied_one(connection: Connection, folder: Path) -> None:
    added = folder / f"{_next_number(folder) + 1:04}_add_colours.sql"
    added.write_text("CREATE TABLE colours (name text);")
    migrate(connection, folder)
    late = folder / f"{_next_number(folder) - 2:04}_add_shapes.sql"
    late.write_text("CREATE TABLE shapes (name text);")
    with pytest.raises(MigrationFailed, match=late.name):
        migrate(connection, folder)


def test_migrate_applies_nothing_when_one_fails(connection: Connection, folder: Path) -> None:
    number = _next_number(folder)
    (folder / f"{number:04}_add_colours.sql").write_text("CREATE TABLE colours (name text);")
    (folder / f"{number + 1:04}_break.sql").write_text("CREATE TABLE colours (name text);")
    with pytest.raises(MigrationFailed, match=rf"{number + 1:04}_break\.sql failed.*colours"):
        migrate(connection, folder)
    assert connection.execute("SELECT count(*) AS n FROM pg_tables WHERE schemaname = 'public'").fetchone() == {"n": 0}


@pytest.mark.parametrize(
    ("name", "complaint"), [("5_short.sql", "Rename 5_short.sql"), ("0001_twin.sql", "same number")]
)
def test_migrate_refuses_the_folder_when_a_name_is_off(
    connection: Connection, folder: Path, name: str, complaint: str
) -> None:
    (folder / name).write_text("SELECT 1;")
    with pytest.raises(MigrationFailed, match=complaint):
        migrate(connection, folder)


def test_migrate_refuses_the_folder_when_it_is_empty(connection: Connection, tmp_path: Path) -> None:
    with pytest.raises(MigrationFailed, match="no migration"):
        migrate(connection, tmp_path)


def test_migrate_applies_each_once_when_several_run_at_once(empty_database_url: str, folder: Path) -> None:
    applied: list[list[str]] = []
    start = threading.Barrier(4)

    def run() -> None:
        with psycopg.connect(empty_database_url, autocommit=True, row_factory=dict_row) as connection:
            start.wait()
            applied.append(migrate(connection, folder))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(applied, key=len) == [[], [], [], sorted(path.name for path in folder.iterdir())]


@pytest.fixture
def other_login(empty_database_url: str) -> Iterator[str]:
    """The URL by which one logs in who is no superuser, and owns the schema alone."""
    name = f"plain_{uuid4().hex[:8]}"
    with psycopg.connect(empty_database_url, autocommit=True) as superuser:
        superuser.execute("CREATE EXTENSION IF NOT EXISTS vector")
        superuser.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'plain'")
        superuser.execute(f"ALTER SCHEMA public OWNER TO {name}")
        yield make_conninfo(empty_database_url, user=name, password="plain")
        superuser.execute(f"REASSIGN OWNED BY {name} TO CURRENT_USER")
        superuser.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


@pytest.mark.parametrize("earlier", [0, 5, 14, 15])
def test_schema_is_complete_when_the_login_owns_it_and_nothing_else(
    other_login: str, folder: Path, tmp_path: Path, earlier: int
) -> None:
    first = tmp_path / "earlier"
    first.mkdir()
    for path in sorted(folder.iterdir())[:earlier]:
        shutil.copy(path, first)
    for migrations in [first] * bool(earlier) + [folder]:
        with psycopg.connect(other_login, autocommit=True, row_factory=dict_row) as connection:
            migrate(connection, migrations)
    with psycopg.connect(other_login) as connection:
        assert connection.execute("SELECT * FROM nearest_texts(1, '[1,2]', 3)").fetchall() == []


@pytest.mark.parametrize(("setting", "value"), GUARDS.items())
def test_server_ends_what_nobody_waits_for_when_another_login_has_migrated(
    empty_database_url: str, other_login: str, setting: str, value: str
) -> None:
    for url in (empty_database_url, other_login):
        with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
            if url == empty_database_url:
                migrate(connection, MIGRATIONS)
            else:
                assert guard_sessions(connection)
        with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
            row = connection.execute("SELECT current_setting(%s) AS value", [setting]).fetchone()
            assert row == {"value": value}
            assert not guard_sessions(connection)


def test_statement_ends_at_the_server_when_nobody_waits_for_it(empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url, row_factory=dict_row) as connection:
        migrate(connection, MIGRATIONS)
    database = Database(DatabaseSettings(database_url=SecretStr(empty_database_url)))
    with database.giving_up_after(0.5), pytest.raises(DatabaseUnavailable), database.statement() as c:
        c.execute("SELECT pg_sleep(600)")

    ends_at = time.monotonic() + _LONGEST_SECONDS
    with closing(database), database.statement() as c:
        while c.execute("SELECT FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)'").rowcount:
            assert time.monotonic() < ends_at, "it goes on, and keeps what it holds"
            time.sleep(0.1)


_ONE_SPEC = """
    INSERT INTO catalogs (id, name, version) VALUES ('crm', 'CRM', '1');
    INSERT INTO specs (catalog_id, spec_name, source_kind, current_revision) VALUES ('crm', 'users', 'upload', 1);
    INSERT INTO revisions (spec_id, revision, content_sha256, content, bytes, openapi_version, operation_count)
    SELECT id, 1, '', '', 0, '3.1.0', 2 FROM specs
"""


def test_release_before_writes_and_reads_operations_when_they_are_shared(database_url: str) -> None:
    columns = "spec_id, revision, position, operation_id, method, path, tags, text, text_hash, name_words"
    with psycopg.connect(database_url, autocommit=True, row_factory=dict_row) as connection:
        connection.execute(_ONE_SPEC)
        with connection.cursor().copy(f"COPY operations ({columns}) FROM STDIN") as copy:
            for position in range(2):
                text = f"Read {position}"
                text_hash = sha256(text.encode()).digest()
                copy.write_row((1, 1, position, text, "GET", f"/{position}", ["a"], text, text_hash, "read"))

        rows = connection.execute(
            "SELECT position, tags, deprecated FROM operations WHERE spec_id = 1 AND revision = 1"
            " AND lexemes @@ to_tsquery('english', 'read') ORDER BY position"
        ).fetchall()

    assert rows == [{"position": position, "tags": ["a"], "deprecated": False} for position in range(2)]
