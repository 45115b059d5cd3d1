"""The sweep function as the schedule calls it."""

import threading
from collections.abc import Iterator

import psycopg
import pytest

from functions.sweep import handler as sweep_function
from opdex.database import _CONNECTION
from opdex.session_guards import GUARDS
from tests.faults.network import Network
from tests.gateway import LambdaContext
from tests.integration.engine import Engine


@pytest.fixture
def network(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    """What the function reaches its database through."""
    with Network(database_url) as network:
        environment = {
            "DATABASE_URL": network.url,
            "EMBED_QUEUE_URL": "https://queue.test",
            "EMBEDDING_PROVIDER": "ollama",
            "EMBEDDING_MODEL": "any",
            "EMBEDDING_URL": "http://127.0.0.1:1",
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setitem(_CONNECTION, "connect_timeout", "2")
        sweep_function._reach.cache_clear()
        yield network
        sweep_function._reach()[1].close()


def test_sweep_waits_for_the_database_when_it_has_to_wake(network: Network) -> None:
    network.hang()
    waking = threading.Timer(5.0, network.recover)
    waking.start()
    try:
        swept = sweep_function.handler({}, LambdaContext())
    finally:
        waking.join()

    assert swept["gaps"] == 0


class _Scheduled(LambdaContext):
    def get_remaining_time_in_millis(self) -> int:
        return 120_000


def test_documents_are_read_again_when_an_earlier_release_made_their_texts(network: Network, engine: Engine) -> None:
    engine.embedder.provider, engine.embedder.model = "ollama", "any"
    engine.upload("pets", [])
    engine.sql("UPDATE revisions SET text_scheme = 1")

    passes = [sweep_function.handler({}, _Scheduled()) for _ in range(2)]
    assert [(counts["reread_documents"], counts["failed_rereads"]) for counts in passes] == [(1, 0), (0, 0)]


def test_sessions_are_guarded_when_a_login_has_no_guards_yet(network: Network, database_url: str) -> None:
    sweep_function.handler({}, LambdaContext())

    with psycopg.connect(database_url) as connection:
        found = {name: connection.execute("SELECT current_setting(%s)", [name]).fetchone() for name in GUARDS}
    assert found == {name: (value,) for name, value in GUARDS.items()}
