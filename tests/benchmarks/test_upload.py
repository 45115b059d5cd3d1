"""Upload to answer, warm, through the real API handler: real documents, and one that is as large as they come."""

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from opdex.database import Database
from opdex.http.keys_store import create_key
from opdex.http.routing import BASE_PATH
from opdex.settings import DatabaseSettings
from tests.benchmarks.figures import Record
from tests.benchmarks.http_function import HttpFunction, Spent
from tests.gateway import Gateway

_RUNS = 3
_CATALOG = f"{BASE_PATH}/api-catalogs/catalog"
# Real documents are other people's: they are measured where OPDEX_CORPUS says that they are at hand.
_REAL = {
    "github_octokit.json.gz": ("13 MB of JSON, 1,223 operations", 1.5),
    "stripe_old.yaml": ("3 MB of YAML, 402 operations", 2.5),
    "kubernetes.json.gz": ("4 MB of JSON, 845 operations", 1.0),
}
_LARGE_OPERATIONS, _LARGE_BYTES = 11_000, 20_000_000
_MEBIBYTE = 1024 * 1024


@pytest.fixture
def function(database_url: str, queue: dict[str, str]) -> Iterator[HttpFunction]:
    with HttpFunction("api", {**queue, "DATABASE_URL": database_url, "EMBEDDING_PROVIDER": "ollama"}) as function:
        yield function


@pytest.fixture
def gateway(function: HttpFunction, database_url: str) -> Gateway:
    """The function behind a gateway, warm and with an empty catalog."""
    database = Database(DatabaseSettings.read(database_url=database_url))
    with database.transaction() as c:
        key = create_key(c, "bench", "admin", None).key
    database.close()
    gateway = Gateway(function, key=key)
    gateway.call("POST", f"{BASE_PATH}/api-catalogs", {"id": "catalog", "name": "Catalog", "version": "1"})
    return gateway


@pytest.mark.timeout(300)
def test_real_documents(function: HttpFunction, gateway: Gateway, record: Record) -> None:
    corpus = os.environ.get("OPDEX_CORPUS")
    for file, (what, seconds) in _REAL.items() if corpus else ():
        raw = Path(corpus or "", "specs", file).read_bytes()
        packed = raw if file.endswith(".gz") else gzip.compress(raw)
        name = file.partition(".")[0]
        runs = [_upload(function, gateway, f"{name}-{run}", packed) for run in range(_RUNS + 1)][1:]
        _record(record, f"upload of {name} ({what}) to its answer", runs, seconds)


@pytest.mark.timeout(300)
def test_large_document(function: HttpFunction, gateway: Gateway, record: Record) -> None:
    raw = _large_document()
    assert len(raw) >= _LARGE_BYTES
    packed = gzip.compress(raw, 6)
    runs = [_upload(function, gateway, f"large-{run}", packed) for run in range(_RUNS)]
    what = f"20 MB of JSON, {_LARGE_OPERATIONS:,} operations"
    _record(record, f"upload of a large document ({what}) to its answer", runs, 8.0)
    peak = max(run.peak_bytes for run in runs) / _MEBIBYTE
    record("memory of the API function after that upload, at its peak", round(peak), "MiB", at_most=1024)


def _upload(function: HttpFunction, gateway: Gateway, spec_name: str, packed: bytes) -> Spent:
    path = f"{_CATALOG}/specs/{spec_name}/upload"
    answer = gateway.call("PUT", path, packed, headers={"Content-Type": "application/gzip"})
    assert answer.status == 201, answer.body
    assert answer.json["changes"]["added"] == answer.json["operation_count"] > 0
    return function.spent


def _record(record: Record, figure: str, runs: list[Spent], at_most: float) -> None:
    seconds = median(run.seconds for run in runs)
    run = next(run for run in runs if run.seconds == seconds)
    shares = {"parsing": run.parsing, "walking": run.walking, "writing": run.writing}
    percent: dict[str, Any] = {f"{part}_percent": round(100 * share / seconds) for part, share in shares.items()}
    record(figure, seconds, "s", at_most=at_most, **percent, worst=round(max(run.seconds for run in runs), 3))


def _large_document() -> bytes:
    paths: dict[str, Any] = {}
    for number in range(_LARGE_OPERATIONS // 2):
        path = f"/tenants/{{tenantId}}/collections{number}/items/{{itemId}}"
        paths[path] = {"parameters": [_parameter("tenantId"), _parameter("itemId")]}
        for method, verb in (("get", "Read"), ("patch", "Change")):
            paths[path][method] = _operation(number, verb)
    info = {"title": "Large", "version": "1"}
    return json.dumps({"openapi": "3.0.3", "info": info, "paths": paths, "components": _components()}).encode()


def _operation(number: int, verb: str) -> dict[str, Any]:
    properties = {
        f"field{n}": {"type": "string", "description": f"What is known of aspect {n} of item {number}, if anything is."}
        for n in range(11)
    }
    schema = {"allOf": [{"$ref": "#/components/schemas/Item"}, {"properties": properties}]}
    item = {"description": "The item.", "content": {"application/json": {"schema": schema}}}
    return {
        "operationId": f"{verb.lower()}ItemOfCollection{number}",
        "summary": f"{verb} an item of collection {number}",
        "description": f"{verb} one item of collection number {number} by its id. " * 4,
        "tags": [f"Collection {number % 100}"],
        "parameters": [{"$ref": "#/components/parameters/Fields"}],
        "responses": {"200": item, "default": {"description": "An error."}},
    }


def _parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _components() -> dict[str, Any]:
    fields = {"name": "fields", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}}
    return {
        "parameters": {"Fields": fields},
        "schemas": {"Item": {"type": "object", "properties": {"id": {"type": "string"}}}},
    }
