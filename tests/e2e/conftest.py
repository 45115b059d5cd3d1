"""The whole system, deployed to the emulator once for all end-to-end tests."""

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.system import started_system
from tests.ollama_server import OllamaServer

_SECONDS_PER_TEXT = 0.1  # fifty operations take five seconds on any machine, and five polls of the portal


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_reaches_what_is_started() -> Iterator[None]:
    """A suite that a script started in the background ignores SIGINT, and so would every program that it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def running_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What endpoint.json says of a system with the template's defaults, but for a provider of known slowness."""
    with OllamaServer(seconds_per_text=_SECONDS_PER_TEXT, calls_at_once=1) as server:
        options = (
            "--embedding-provider=ollama",
            f"--embedding-url={server.url}",
            "--function-variable=EMBEDDING_CHUNK_SECONDS=0.5",
        )
        with started_system(tmp_path_factory.mktemp("running"), *options) as system:
            yield system.endpoint
