"""What there is beside the engine: the HTTP API on its database, and a second connection to it."""

from collections.abc import Iterator
from typing import Any, Protocol

import pytest
from pydantic import SecretStr

from opdex.database import Database
from opdex.http.context import ApiContext
from opdex.http.keys_store import create_key
from opdex.http.routing import BASE_PATH
from opdex.settings import ApiSettings
from tests.gateway import Gateway, whole_service
from tests.integration.conforming import ConformingGateway
from tests.integration.engine import Engine


@pytest.fixture
def other(engine: Engine) -> Iterator[Database]:
    """A second connection to the engine's database."""
    database = Database(engine.settings)
    yield database
    database.close()


class MakeGateway(Protocol):
    """Makes the API on the engine's database, called with an admin's key, with these settings of its own."""

    def __call__(self, **settings: object) -> Gateway: ...


@pytest.fixture
def make_gateway(engine: Engine, database_url: str) -> MakeGateway:
    """Each gateway's answers are held against the service's own description."""

    def make(**settings: Any) -> Gateway:
        read = ApiSettings(database_url=SecretStr(database_url), embed_queue_url="unused", **settings)
        context = ApiContext(read, engine.database, engine.wake_ups, lambda: engine.embedder)
        key = engine.transact(lambda c: create_key(c, "test", "admin", None)).key
        gateway = ConformingGateway(whole_service(context), key=key)
        gateway.description = gateway.call("GET", "/openapi.json").json
        return gateway

    return make


@pytest.fixture
def gateway(make_gateway: MakeGateway) -> Gateway:
    """The API on the engine's database, called with an admin's key."""
    return make_gateway()


@pytest.fixture
def crm(gateway: Gateway) -> str:
    """The address of a catalog."""
    answer = gateway.call("POST", f"{BASE_PATH}/api-catalogs", {"id": "crm", "name": "CRM", "version": "1"})
    assert answer.status == 201
    return f"{BASE_PATH}/api-catalogs/crm"
