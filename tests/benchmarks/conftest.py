"""What the benchmarks run on: a durable Postgres, a queue over HTTP, and a place for their figures."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest

from local.emulator import REGION, Emulator
from local.ports import free_port
from local.postgres import EmbeddedPostgres
from tests.benchmarks.embed_function import EmbedFunction
from tests.benchmarks.figures import RESULTS, Figure, Record, this_run
from tests.benchmarks.provider import Provider
from tests.benchmarks.uploads import Uploads
from tests.migrated_server import MigratedServer


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record", action="store_true", help="keep the figures in tests/benchmarks/results")


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MigratedServer]:
    """A server that loses nothing, on a disk; its template database is migrated."""
    with EmbeddedPostgres(tmp_path_factory.mktemp("postgres")) as durable:
        server = MigratedServer(durable.url("postgres"))
        server.make_template()
        yield server


@pytest.fixture(scope="session")
def run(postgres: MigratedServer) -> dict[str, Any]:
    """When and on what the figures are taken."""
    with psycopg.connect(postgres.maintenance_url) as connection:
        version = connection.info.parameter_status("server_version")
    return {**this_run(), "postgres": version}


@pytest.fixture(scope="module")
def record(request: pytest.FixtureRequest, run: dict[str, Any]) -> Iterator[Record]:
    """Keeps the figures of a module and prints them; those that miss their bounds make it fail at its end.

    A module in which a test failed, or which was interrupted, leaves the figures of the run before as they are: its own
    are not whole.
    """
    plugins: Any = request.config.pluginmanager
    terminal, capture = plugins.get_plugin("terminalreporter"), plugins.get_plugin("capturemanager")

    def tell(figure: Figure) -> None:
        with capture.global_and_fixture_disabled():
            terminal.write_line(figure.as_line())

    taken, failed_before = Record(run, tell), request.session.testsfailed
    yield taken
    interrupted = request.session.exitstatus == pytest.ExitCode.INTERRUPTED
    if request.config.getoption("--record") and request.session.testsfailed == failed_before and not interrupted:
        RESULTS.mkdir(exist_ok=True)
        bench = request.module.__name__.rpartition("test_")[2]
        (RESULTS / f"{bench}.jsonl").write_text("".join(f"{figure.as_line()}\n" for figure in taken.figures))
    missed = [figure.figure for figure in taken.figures if not figure.holds]
    if missed:
        pytest.fail(f"out of bounds: {'; '.join(missed)}", pytrace=False)


@pytest.fixture
def uploads(database_url: str) -> Iterator[Uploads]:
    with Uploads(database_url) as uploads:
        yield uploads


@pytest.fixture(scope="session")
def queue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What a function's environment says of its queue: one that takes messages over HTTP and delivers none."""
    with Emulator(free_port(), tmp_path_factory.mktemp("emulator")) as emulator:
        yield {
            "EMBED_QUEUE_URL": emulator.client("sqs").create_queue(QueueName="EmbedQueue")["QueueUrl"],
            "AWS_ENDPOINT_URL": emulator.url,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }


class StartFunction(Protocol):
    """Starts an embed function that calls this provider, with these settings; it ends with the test."""

    def __call__(self, provider: Provider, log: Path | None = None, /, **settings: object) -> EmbedFunction: ...


@pytest.fixture
def start_function(database_url: str, queue: dict[str, str]) -> Iterator[StartFunction]:
    with ExitStack() as running:

        def start(provider: Provider, log: Path | None = None, /, **settings: object) -> EmbedFunction:
            environment = {
                **queue,
                "DATABASE_URL": database_url,
                "EMBEDDING_PROVIDER": "ollama",
                "EMBEDDING_URL": provider.url,
                **{name.upper(): str(value) for name, value in settings.items()},
            }
            return running.enter_context(EmbedFunction(environment, log))

        yield start
