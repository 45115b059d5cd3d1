"""What `sam build` made, on Lambda's own runtime, with nothing else to import from."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from local.build import BUILT_TEMPLATE, PROJECT, building
from local.emulator import Emulator
from local.template import read_template
from opdex.http.keys_store import keep_first_admin_key
from tests.e2e.lambda_runtime import LambdaRuntime
from tests.e2e.system import free_port

BUILD = BUILT_TEMPLATE.parent
UNPACKED_LIMIT_BYTES = 250 * 1024 * 1024
EVENTS = {path.stem: json.loads(path.read_text()) for path in (PROJECT / "events").glob("*.json")}
FUNCTIONS = {"api": "ApiFunction", "embed": "EmbedFunction", "sweep": "SweepFunction", "migrate": "MigrateFunction"}


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    with building(print) as wait_for_build:
        wait_for_build()
    return read_template(BUILT_TEMPLATE)


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with Emulator(free_port(), tmp_path_factory.mktemp("emulator")) as emulator:
        yield emulator


class Functions:
    """The built functions on one database; each starts at its first event and stays warm."""

    def __init__(self, template: Mapping[str, Any], folder: Path, environment: Mapping[str, str]) -> None:
        self._template = template
        self._folder = folder
        self._environment = environment
        self._stack = ExitStack()
        self._running: dict[str, LambdaRuntime] = {}

    def __enter__(self) -> "Functions":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def answer(self, event_name: str, **changes: Any) -> Any:
        """Return what the event's function answers to it."""
        name = FUNCTIONS[event_name.split("_")[0]]
        if name not in self._running:
            layers = [BUILD / layer for layer in layers_of(self._template, name)]
            runtime = LambdaRuntime(BUILD / name, layers, self._folder, self._environment)
            self._running[name] = self._stack.enter_context(runtime)
        return self._running[name].invoke({**EVENTS[event_name], **changes})


def layers_of(template: Mapping[str, Any], function: str) -> list[str]:
    """Return the layers that a function has with the embedded model: those of all functions, and its own."""
    listed = template["Globals"]["Function"]["Layers"]
    listed = listed + template["Resources"][function]["Properties"].get("Layers", [])
    return [(layer["Fn::If"][1] if "Fn::If" in layer else layer)["Ref"] for layer in listed]


@pytest.fixture
def functions(
    template: dict[str, Any], emulator: Emulator, empty_database_url: str, tmp_path: Path
) -> Iterator[Functions]:
    queue = emulator.client("sqs").create_queue(QueueName=tmp_path.name[-80:])
    environment = {
        "DATABASE_URL": empty_database_url,
        "EMBED_QUEUE_URL": queue["QueueUrl"],
        "AWS_ENDPOINT_URL": emulator.url,
    }
    with Functions(template, tmp_path, environment) as functions:
        yield functions


def test_built_functions_do_the_main_job_when_alone_with_their_layers(
    functions: Functions, empty_database_url: str
) -> None:
    applied = functions.answer("migrate_invoke")["applied"]
    assert applied == sorted(path.name for path in (PROJECT / "migrations").glob("*.sql"))
    key = EVENTS["api_upload"]["headers"]["X-API-Key"]
    with psycopg.connect(empty_database_url, row_factory=dict_row) as connection:
        keep_first_admin_key(connection, key)
        connection.execute("INSERT INTO catalogs (id, name, version) VALUES ('ferries', 'ferries', '1')")

    assert functions.answer("api_healthz")["statusCode"] == 200
    uploaded = functions.answer("api_upload")
    assert uploaded["statusCode"] == 201, uploaded
    assert functions.answer("embed_wake_up") == {"batchItemFailures": []}
    found = functions.answer(
        "api_search", queryStringParameters={"q": "reserve a seat on a boat", "ranking": "semantic"}
    )
    operations = json.loads(found["body"])["operations"]
    assert [operation["operation_id"] for operation in operations] == ["bookPassage", "listDepartures"]
    assert isinstance(functions.answer("sweep_schedule"), dict)


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json"])
def test_built_api_serves_its_pages_when_alone_with_its_layers(functions: Functions, path: str) -> None:
    answer = functions.answer("api_healthz", path=path, resource=path, pathParameters=None)
    assert answer["statusCode"] == 200
    assert answer["body"]


@pytest.mark.parametrize(("request_type", "tables"), [("Create", True), ("Delete", False)])
def test_built_migrate_function_answers_cloudformation_when_asked(
    functions: Functions, empty_database_url: str, request_type: str, tables: bool
) -> None:
    with AnswerReceiver() as receiver:
        functions.answer("migrate_deploy", RequestType=request_type, ResponseURL=receiver.url)
    (answer,) = receiver.answers
    assert answer["Status"] == "SUCCESS", answer
    assert answer["RequestId"] == EVENTS["migrate_deploy"]["RequestId"]
    with psycopg.connect(empty_database_url) as connection:
        row = connection.execute("SELECT to_regclass('schema_migrations') IS NOT NULL").fetchone()
    assert row == (tables,)


@pytest.mark.parametrize("function", FUNCTIONS.values())
def test_built_function_fits_lambda_when_unpacked_with_its_layers(template: dict[str, Any], function: str) -> None:
    folders = [BUILD / function, *(BUILD / layer for layer in layers_of(template, function))]
    size = sum(path.stat().st_size for folder in folders for path in folder.rglob("*") if path.is_file())
    assert size <= UNPACKED_LIMIT_BYTES, f"{function} unpacks to {size / 1024 / 1024:.0f} MB"


class AnswerReceiver:
    """CloudFormation's end: takes what a custom resource puts to its address."""

    def __init__(self) -> None:
        self.answers: list[dict[str, Any]] = []
        answers = self.answers

        class Put(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                answers.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Put)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> "AnswerReceiver":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
