"""The API with nothing below it: stores are replaced test by test."""

from typing import Any

import pytest

from opdex.http.context import ApiContext
from opdex.http.keys_store import Key
from opdex.settings import ApiSettings
from tests.gateway import Gateway, whole_service
from tests.unit.http.fakes import NOW, FakeDatabase, FakeEmbedder, FakeWakeUps


@pytest.fixture
def log() -> list[str]:
    """What happened, in order."""
    return []


@pytest.fixture
def database(log: list[str]) -> FakeDatabase:
    return FakeDatabase(log)


@pytest.fixture
def wake_ups(log: list[str]) -> FakeWakeUps:
    return FakeWakeUps(log)


@pytest.fixture
def embedder() -> FakeEmbedder:
    return FakeEmbedder()


@pytest.fixture
def context(database: Any, wake_ups: FakeWakeUps, embedder: Any) -> ApiContext:
    settings = ApiSettings(embed_queue_url="https://queue.test", workers=3)
    return ApiContext(settings, database, wake_ups, lambda: embedder)


@pytest.fixture
def gateway(context: ApiContext, monkeypatch: pytest.MonkeyPatch) -> Gateway:
    """The API behind a gateway. Its keys are called after their roles; the gateway itself sends ``editor``."""
    keys = {
        role: Key(id=role, name=role, role=role, created_at=NOW, expires_at=None)
        for role in ("reader", "editor", "admin")
    }
    monkeypatch.setattr("opdex.http.authentication.find_key", lambda c, key: keys.get(key))
    for name in ("hold", "state_of", "record", "go_on"):
        monkeypatch.setattr(f"opdex.http.audit_store.{name}", lambda *_, **__: None)
    return Gateway(whole_service(context), key="editor")
