"""The first admin key: made from its secret at a deploy, and taken over when the secret was changed."""

import importlib
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import boto3
import psycopg
import pytest
from moto import mock_aws
from psycopg.rows import dict_row

from opdex.database import Connection, Database
from opdex.errors import ConfigurationError
from opdex.http.keys_store import find_key, keep_first_admin_key
from tests.gateway import LambdaContext

OLD, NEW = "old-" + "o" * 40, "new-" + "n" * 40


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    with psycopg.connect(database_url, autocommit=True, row_factory=dict_row) as connection:
        yield connection


@pytest.fixture
def secrets(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Secrets Manager with the first admin key's secret, and functions that know it."""
    with mock_aws():
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        client = boto3.client("secretsmanager", region_name="eu-central-1")
        arn = client.create_secret(Name="first-admin-key", SecretString=OLD)["ARN"]
        queue = boto3.client("sqs", region_name="eu-central-1").create_queue(QueueName="embed")["QueueUrl"]
        monkeypatch.setenv("DATABASE_URL", database_url)
        monkeypatch.setenv("EMBED_QUEUE_URL", queue)
        monkeypatch.setenv("ADMIN_KEY_SECRET_ARN", arn)
        with ExitStack() as opened:
            connect = Database.connect
            monkeypatch.setattr(Database, "connect", lambda database: opened.enter_context(connect(database)))
            yield client


def function(name: str) -> Any:
    """Return a function's handler, in a process of its own as far as it can tell."""
    return importlib.reload(importlib.import_module(f"functions.{name}.handler")).handler


def change(secrets: Any, value: str) -> None:
    secrets.put_secret_value(SecretId="first-admin-key", SecretString=value)


@pytest.mark.parametrize("name", ["migrate", "sweep"])
def test_changed_secret_is_taken_over_without_a_deploy(secrets: Any, connection: Connection, name: str) -> None:
    function("migrate")({}, LambdaContext())
    key = find_key(connection, OLD)
    assert key is not None
    assert (key.id, key.role, key.expires_at) == ("first-admin", "admin", None)
    change(secrets, NEW)
    function(name)({}, LambdaContext())
    assert find_key(connection, OLD) is None
    assert find_key(connection, NEW) is not None


def test_sweep_goes_on_when_the_secret_cannot_be_used(
    secrets: Any, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    function("migrate")({}, LambdaContext())
    change(secrets, "short")
    assert function("sweep")({}, LambdaContext())["keys_taken_over"] == 0
    monkeypatch.setenv("ADMIN_KEY_SECRET_ARN", "arn:aws:secretsmanager:eu-central-1:000000000000:secret:none")
    assert function("sweep")({}, LambdaContext())["keys_taken_over"] == 0
    assert find_key(connection, OLD) is not None


def test_sweep_tells_when_it_took_a_key_over_and_writes_nothing_else(secrets: Any, connection: Connection) -> None:
    assert function("sweep")({}, LambdaContext())["keys_taken_over"] == 1
    (before,) = connection.execute("SELECT xmin, * FROM keys").fetchall()
    assert function("sweep")({}, LambdaContext())["keys_taken_over"] == 0
    assert connection.execute("SELECT xmin, * FROM keys").fetchall() == [before]


def test_sweep_drops_old_audit_entries(secrets: Any, connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIT_RETENTION_DAYS", "30")
    connection.execute(
        "INSERT INTO audit (at, who, what, path, subject, request_id)"
        " SELECT now() - make_interval(days => age), '{}', 'delete_key', '/', 'key x', ''"
        " FROM unnest(ARRAY[29, 31]) AS age"
    )
    assert function("sweep")({}, LambdaContext())["forgotten_audit_entries"] == 1


@pytest.mark.parametrize("key", ["", "password", "x" * 31])
def test_key_that_could_be_guessed_is_refused(connection: Connection, key: str) -> None:
    with pytest.raises(ConfigurationError, match="32 characters"):
        keep_first_admin_key(connection, key)
    assert connection.execute("SELECT FROM keys").fetchall() == []


def test_first_admin_key_is_an_unlimited_admin_again_whatever_was_done_to_it(connection: Connection) -> None:
    assert keep_first_admin_key(connection, OLD)
    assert not keep_first_admin_key(connection, OLD)
    connection.execute("UPDATE keys SET role = 'reader', expires_at = now() + interval '1 day'")
    assert keep_first_admin_key(connection, OLD)
    key = find_key(connection, OLD)
    assert key is not None
    assert (key.role, key.expires_at) == ("admin", None)
