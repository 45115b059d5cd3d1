"""How long the database is waited for."""

import time
from collections.abc import Iterator
from contextlib import closing, nullcontext
from typing import NoReturn

import psycopg
import pytest
from pydantic import SecretStr

from opdex.database import Database
from opdex.errors import DatabaseUnavailable
from opdex.http.app import Api
from opdex.http.context import ReadContext
from opdex.http.route_table import search_function_routes
from opdex.http.routing import BASE_PATH
from opdex.settings import DatabaseSettings, SearchSettings
from tests.faults.network import Network
from tests.gateway import Gateway, LambdaContext

_LONGER_THAN_ANY_TEST = 600.0


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    settings = DatabaseSettings(database_url=SecretStr(database_url), database_statement_seconds=_LONGER_THAN_ANY_TEST)
    with closing(Database(settings)) as database:
        yield database


def test_statement_is_given_up_when_the_time_of_its_request_is_over(database: Database) -> None:
    with database.giving_up_after(0.5), pytest.raises(DatabaseUnavailable), database.statement() as c:
        c.execute("SELECT pg_sleep(%s)", [_LONGER_THAN_ANY_TEST])

    with database.statement() as c:
        assert c.execute("SELECT pg_sleep(1)").rowcount == 1


@pytest.mark.parametrize(
    ("left", "attempts"),
    [(None, [5]), (30.0, [5]), (5.9, [5]), (4.9, [4]), (2.0, [2]), (0.1, [2]), (0.0, []), (-1.0, [])],
)
def test_server_is_waited_for_no_longer_than_time_is_left_when_it_is_connected_to(
    monkeypatch: pytest.MonkeyPatch, left: float | None, attempts: list[int]
) -> None:
    allowed: list[object] = []

    def refuse(*_: object, **values: object) -> NoReturn:
        allowed.append(values["connect_timeout"])
        raise psycopg.OperationalError

    monkeypatch.setattr(psycopg.Connection, "connect", refuse)
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    database = Database(DatabaseSettings(database_url=SecretStr("postgresql://anywhere")))

    with nullcontext() if left is None else database.giving_up_after(left), pytest.raises(DatabaseUnavailable):
        database.connect()

    assert allowed == attempts


def test_request_is_answered_before_the_gateway_gives_up_when_the_database_hangs(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Network(database_url) as network:
        settings = SearchSettings(database_url=SecretStr(network.url), database_statement_seconds=_LONGER_THAN_ANY_TEST)
        with closing(Database(settings)) as database:
            context = ReadContext(settings, database, _no_embedder)
            api = Gateway(Api(context, search_function_routes(context)), key="any")
            assert api.call("GET", f"{BASE_PATH}/search?q=any").status == 401
            monkeypatch.setattr(LambdaContext, "get_remaining_time_in_millis", lambda _: 5_000)
            network.hang()

            answer = api.call("GET", f"{BASE_PATH}/search?q=any")

    assert (answer.status, answer.code) == (503, "database_unavailable")
    assert int(answer.headers["retry-after"]) > 0


def _no_embedder() -> NoReturn:
    raise AssertionError
