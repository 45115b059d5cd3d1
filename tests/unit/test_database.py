import json
from typing import Any

import boto3
import pytest

from opdex.database import Database, database_url, load_statements
from opdex.errors import ConfigurationError, DatabaseUnavailable
from opdex.settings import DatabaseSettings


def _url_of_secret(value: str, **settings: Any) -> str:
    arn = boto3.client("secretsmanager").create_secret(Name="database", SecretString=value)["ARN"]
    return database_url(DatabaseSettings(database_secret_arn=arn, **settings))


@pytest.mark.usefixtures("secrets")
def test_url_is_taken_as_it_is_when_the_secret_is_one() -> None:
    assert _url_of_secret("postgresql://me@localhost/opdex") == "postgresql://me@localhost/opdex"


@pytest.mark.usefixtures("secrets")
def test_url_is_built_when_the_secret_is_that_of_rds() -> None:
    fields = {"username": "me", "password": "p@ss/word", "host": "db.example", "port": 5433, "dbname": "opdex"}

    assert _url_of_secret(json.dumps(fields)) == "postgresql://me:p%40ss%2Fword@db.example:5433/opdex?sslmode=require"


@pytest.mark.usefixtures("secrets")
def test_place_is_that_of_the_settings_when_the_secret_has_the_login_alone() -> None:
    url = _url_of_secret('{"username": "me", "password": "pw"}', database_host="db.example", database_name="opdex")

    assert url == "postgresql://me:pw@db.example:5432/opdex?sslmode=require"


@pytest.mark.usefixtures("secrets")
def test_place_is_that_of_the_secret_when_it_has_one() -> None:
    fields = {"username": "me", "password": "pw", "host": "db.example", "port": 5433, "dbname": "opdex"}
    url = _url_of_secret(json.dumps(fields), database_host="other.example", database_port=1, database_name="other")

    assert url == "postgresql://me:pw@db.example:5433/opdex?sslmode=require"


@pytest.mark.usefixtures("secrets")
def test_database_is_unavailable_when_its_secret_cannot_be_read() -> None:
    missing = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:missing"
    with pytest.raises(DatabaseUnavailable, match="secret cannot be read"):
        database_url(DatabaseSettings(database_secret_arn=missing))


@pytest.mark.usefixtures("secrets")
@pytest.mark.parametrize("value", ["nonsense", "{}", "[1]", '{"username": "me"}'])
def test_secret_is_refused_when_it_names_no_database(value: str) -> None:
    with pytest.raises(ConfigurationError, match="The database secret must be"):
        _url_of_secret(value)


def test_variable_to_set_is_named_when_no_database_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.delenv("DATABASE_SECRET_ARN", raising=False)
    with pytest.raises(ConfigurationError, match="DATABASE_SECRET_ARN"):
        database_url(DatabaseSettings())


def test_database_is_unavailable_when_nobody_listens(unused_tcp_port_url: str) -> None:
    settings = DatabaseSettings.model_validate({"database_url": unused_tcp_port_url})
    with pytest.raises(DatabaseUnavailable), Database(settings).transaction():
        pass


def test_wait_ends_when_the_server_wakes(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter((DatabaseUnavailable(), DatabaseUnavailable(), object()))

    def connect(_: Database) -> object:
        answer = next(answers)
        if isinstance(answer, DatabaseUnavailable):
            raise answer
        return answer

    monkeypatch.setattr("opdex.database._ASK_AGAIN_SECONDS", 0)
    monkeypatch.setattr(Database, "connect", connect)
    Database(DatabaseSettings()).wait(60)
    assert list(answers) == []


def test_wait_ends_with_the_reason_when_nobody_listens_for_so_long(unused_tcp_port_url: str) -> None:
    settings = DatabaseSettings.model_validate({"database_url": unused_tcp_port_url})
    with pytest.raises(DatabaseUnavailable) as raised:
        Database(settings).wait(0)
    assert "refused" in str(raised.value.__cause__)


@pytest.fixture
def unused_tcp_port_url() -> str:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"postgresql://nobody@127.0.0.1:{probe.getsockname()[1]}/none"


def test_statements_are_told_apart_by_name_when_a_file_has_several() -> None:
    statements = load_statements("opdex.search", "search.sql")

    assert {"scope", "cosines", "found"} <= statements.keys()
    assert statements["found"].startswith("SELECT")
