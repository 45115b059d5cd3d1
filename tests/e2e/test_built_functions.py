"""What `sam build` made, on Lambda's own runtime, with nothing else to import from."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg.rows import dict_row

from local.answer_receiver import AnswerReceiver
from local.build import BUILT_TEMPLATE, PROJECT, building
from local.built_functions import BuiltFunctions, read_event
from local.emulator import Emulator
from local.invoke import prepare
from local.lambda_runtime import FunctionTimedOut
from local.ports import free_port
from opdex.database import Connection
from opdex.migrations import migrate
from tests.integration.engine import wait_until
from tests.ollama_server import OllamaServer
from tests.worker_process import freeze_waiting_worker

UNPACKED_LIMIT_BYTES = 250 * 1024 * 1024
EVENTS = {path.stem: path for path in sorted((PROJECT / "events").glob("*.json"))}


@pytest.fixture(scope="module")
def built() -> Path:
    with building(print) as wait_for_build:
        wait_for_build()
    return BUILT_TEMPLATE


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with Emulator(free_port(), tmp_path_factory.mktemp("emulator")) as emulator:
        yield emulator


@pytest.fixture
def surroundings(emulator: Emulator, empty_database_url: str, tmp_path: Path) -> dict[str, str]:
    queue = emulator.client("sqs").create_queue(QueueName=tmp_path.name[-80:])
    return {
        "DATABASE_URL": empty_database_url,
        "EMBED_QUEUE_URL": queue["QueueUrl"],
        "AWS_ENDPOINT_URL": emulator.url,
    }


@pytest.fixture
def functions(built: Path, surroundings: dict[str, str], tmp_path: Path) -> Iterator[BuiltFunctions]:
    with BuiltFunctions(built, tmp_path, surroundings) as functions:
        yield functions


@pytest.fixture
def expecting(functions: BuiltFunctions, empty_database_url: str) -> BuiltFunctions:
    """The functions on a database that has what the events speak of."""
    with psycopg.connect(empty_database_url, row_factory=dict_row) as connection:
        migrate(connection, PROJECT / "migrations")
        prepare(connection, [read_event(path) for path in EVENTS.values()])
    return functions


def test_built_functions_do_the_main_job_when_alone_with_their_layers(expecting: BuiltFunctions) -> None:
    uploaded = expecting.answer(EVENTS["api_upload"])
    assert uploaded["statusCode"] == 201, uploaded
    assert expecting.answer(EVENTS["embed_wake_up"]) == {"batchItemFailures": []}
    query = {"q": "reserve a seat on a boat", "ranking": "semantic"}
    found = expecting.answer(EVENTS["search_operations"], queryStringParameters=query)
    operations = json.loads(found["body"])["operations"]
    assert [operation["operation_id"] for operation in operations] == ["bookPassage", "listDepartures"]


@pytest.mark.parametrize("event", EVENTS)
def test_built_function_answers_when_it_gets_an_event(expecting: BuiltFunctions, event: str) -> None:
    with AnswerReceiver() as receiver:
        changes = {"ResponseURL": receiver.url} if event == "migrate_deploy" else {}
        answer = expecting.answer(EVENTS[event], **changes)

    statuses = {"api_healthz": 200, "api_upload": 201, "search_operations": 200}
    if event in statuses:
        assert answer["statusCode"] == statuses[event], answer
    elif event == "migrate_deploy":
        assert [told["Status"] for told in receiver.answers] == ["SUCCESS"]
    elif event == "migrate_invoke":
        assert answer == {"applied": []}
    elif event == "embed_wake_up":
        assert answer == {"batchItemFailures": []}
    else:
        assert event == "sweep_schedule"
        assert answer["gaps"] == 0


def test_migrations_are_applied_when_the_built_function_is_invoked(functions: BuiltFunctions) -> None:
    applied = functions.answer(EVENTS["migrate_invoke"])["applied"]
    assert applied == sorted(path.name for path in (PROJECT / "migrations").glob("*.sql"))


def test_job_is_resumed_by_the_next_invocation_when_the_runtime_ends_one_at_its_timeout(
    built: Path, surroundings: dict[str, str], empty_database_url: str, tmp_path: Path
) -> None:
    with OllamaServer() as provider, psycopg.connect(empty_database_url, row_factory=dict_row) as connection:
        migrate(connection, PROJECT / "migrations")
        prepare(connection, [read_event(path) for path in EVENTS.values()])
        connection.commit()
        parameters = {"EMBED_TIMEOUT_SECONDS": "4", "EMBEDDING_PROVIDER": "ollama", "EMBEDDING_URL": provider.url}
        environment = {**surroundings, "EMBEDDING_PROVIDER": "ollama", "EMBEDDING_URL": provider.url}
        with BuiltFunctions(built, tmp_path, environment, parameters) as functions:
            assert functions.answer(EVENTS["api_upload"])["statusCode"] == 201
            connection.execute("LOCK TABLE vectors IN EXCLUSIVE MODE")  # the chunk cannot be written
            functions.runtime(EVENTS["embed_wake_up"])  # would end with the thread that starts it
            with ThreadPoolExecutor() as invocations, psycopg.connect(empty_database_url, autocommit=True) as other:
                invocation = invocations.submit(functions.answer, EVENTS["embed_wake_up"])
                freeze_waiting_worker(other, seconds=30)
                with pytest.raises(FunctionTimedOut):
                    invocation.result()
            connection.rollback()
            connection.autocommit = True
            assert _jobs(connection, "status, attempts") == [{"status": "running", "attempts": 1}]
            wait_until(lambda: _jobs(connection, "lease_expires_at < now() AS over") == [{"over": True}], seconds=4)

            assert functions.answer(EVENTS["embed_wake_up"]) == {"batchItemFailures": []}
            done = {"status": "succeeded", "attempts": 2, "slices": 2}
            assert _jobs(connection, "status, attempts, slices") == [done]


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json"])
def test_built_api_serves_its_pages_when_alone_with_its_layers(functions: BuiltFunctions, path: str) -> None:
    answer = functions.answer(EVENTS["api_healthz"], path=path, resource=path, pathParameters=None)
    assert answer["statusCode"] == 200
    assert answer["body"]


@pytest.mark.parametrize(("request_type", "tables"), [("Create", True), ("Delete", False)])
def test_built_migrate_function_answers_cloudformation_when_asked(
    functions: BuiltFunctions, empty_database_url: str, request_type: str, tables: bool
) -> None:
    with AnswerReceiver() as receiver:
        functions.answer(EVENTS["migrate_deploy"], RequestType=request_type, ResponseURL=receiver.url)
    (answer,) = receiver.answers
    assert answer["Status"] == "SUCCESS", answer
    assert answer["RequestId"] == read_event(EVENTS["migrate_deploy"])["RequestId"]
    with psycopg.connect(empty_database_url) as connection:
        row = connection.execute("SELECT to_regclass('schema_migrations') IS NOT NULL").fetchone()
    assert row == (tables,)


def test_each_built_function_fits_lambda_when_unpacked_with_its_layers(functions: BuiltFunctions) -> None:
    sizes = {name: sum(map(_size, functions.folders(name))) for name in functions.names()}
    assert {"ApiFunction", "SearchFunction", "EmbedFunction", "SweepFunction", "MigrateFunction"} <= sizes.keys()
    assert {name: size for name, size in sizes.items() if not 0 < size <= UNPACKED_LIMIT_BYTES} == {}


def _jobs(connection: Connection, columns: LiteralString) -> list[dict[str, Any]]:
    return connection.execute(f"SELECT {columns} FROM jobs").fetchall()


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
