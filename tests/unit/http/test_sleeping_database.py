"""A paused database takes connections, and says nothing on them until it is awake."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from opdex.database import _CONNECTION, Database
from opdex.http.context import ApiContext
from opdex.http.routing import BASE_PATH
from opdex.settings import ApiSettings
from tests.gateway import Gateway, whole_service
from tests.unit.http.fakes import FakeWakeUps


@pytest.fixture
def sleeping(embedder: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    """The API over a database that is asleep; waiting for it is cut short."""
    monkeypatch.setitem(_CONNECTION, "connect_timeout", "2")
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"postgresql://me@127.0.0.1:{server.getsockname()[1]}/opdex"
        settings = ApiSettings.model_validate({"embed_queue_url": "queue", "database_url": url})
        context = ApiContext(settings, Database(settings), FakeWakeUps([]), lambda: embedder)
        yield Gateway(whole_service(context), key="any")


@pytest.mark.parametrize("path", ["/healthz", f"{BASE_PATH}/api-catalogs"])
def test_request_is_answered_with_when_to_come_again_when_the_database_sleeps(sleeping: Gateway, path: str) -> None:
    answer = sleeping.call("GET", path)
    assert (answer.status, answer.code) == (503, "database_unavailable")
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize("path", ["/healthz?shallow=true", "/", "/openapi.json"])
def test_request_is_answered_when_it_asks_nothing_of_the_database_that_sleeps(sleeping: Gateway, path: str) -> None:
    assert sleeping.call("GET", path).status == 200
