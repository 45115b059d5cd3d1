"""The whole system, deployed once for all end-to-end tests: to the emulator, or to LocalStack as OPDEX_ROAD says."""

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import pytest

from local.deployment import STACK
from tests.e2e.system import Start, System, started_system
from tests.localstack.server import running_localstack
from tests.localstack.system import deployed_system
from tests.ollama_server import OllamaServer

_SECONDS_PER_TEXT = 0.1  # fifty operations take five seconds on any machine, and five polls of the portal


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_reaches_what_is_started() -> Iterator[None]:
    """A suite that a script started in the background ignores SIGINT, and so would every program that it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """What starts a system for a block, where OPDEX_ROAD says."""
    with ExitStack() as stack:

        def on_the_emulator(
            name: str, parameters: Mapping[str, str], variables: Mapping[str, str]
        ) -> AbstractContextManager[System]:
            options = [f"--{option.lower().replace('_', '-')}={value}" for option, value in parameters.items()]
            options += [f"--function-variable={variable}={value}" for variable, value in variables.items()]
            return started_system(tmp_path_factory.mktemp(name), *options)

        def on_localstack(
            name: str, parameters: Mapping[str, str], variables: Mapping[str, str]
        ) -> AbstractContextManager[System]:
            return deployed_system(localstack, tmp_path_factory.mktemp(name), name, parameters, variables)

        if os.environ.get("OPDEX_ROAD") == "localstack":
            localstack = stack.enter_context(running_localstack(tmp_path_factory.mktemp("localstack")))
            yield on_localstack
        else:
            yield on_the_emulator


@pytest.fixture(scope="session")
def running_system(start: Start) -> Iterator[dict[str, Any]]:
    """What endpoint.json says of a system with the template's defaults, but for a provider of known slowness."""
    with OllamaServer(seconds_per_text=_SECONDS_PER_TEXT, calls_at_once=1) as server:
        parameters = {"EMBEDDING_PROVIDER": "ollama", "EMBEDDING_URL": server.url}
        with start(STACK, parameters, {"EMBEDDING_CHUNK_SECONDS": "0.5"}) as system:
            yield system.endpoint
