"""What AWS bills by: the seconds, messages, log lines and bytes that operations, vectors, requests and sweeps take.

docs/costs.md is made of these figures. The document is github_octokit where OPDEX_CORPUS names the folder that has it.
"""

import gzip
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any, Literal

import boto3
import psycopg
import pytest
from pydantic import SecretStr

from opdex.database import Database
from opdex.embedding.vector_index import index_vectors
from opdex.http.keys_store import create_key
from opdex.http.routing import BASE_PATH
from opdex.settings import DatabaseSettings
from tests.benchmarks.conftest import StartFunction
from tests.benchmarks.figures import Record
from tests.benchmarks.http_function import HttpFunction
from tests.benchmarks.provider import Provider
from tests.benchmarks.sweep_function import swept_in
from tests.benchmarks.uploads import CATALOG, Uploads
from tests.e2e.system import document
from tests.gateway import Gateway

_VECTORS = 10_000
_OPERATIONS = 1_223
_REQUESTS = 100
_SWEEPS = 5
# Only what a published spec is searched with has an index.
_PUBLISH = """
WITH model AS (INSERT INTO models (provider, model, dimension) VALUES ('any', 'any', %(dimension)s) RETURNING id),
     catalog AS (INSERT INTO catalogs (id, name, version) VALUES ('any', 'any', '1') RETURNING id)
INSERT INTO specs (catalog_id, spec_name, source_kind, current_revision, published_revision, published_model_id)
SELECT catalog.id, 'any', 'upload', 1, 1, model.id FROM catalog, model
"""
_INSERT_VECTORS = """
INSERT INTO vectors (model_id, text_hash, embedding)
SELECT m.id, sha256(n::text::bytea), made.parts::vector
FROM models m, generate_series(1, %(vectors)s) AS n,
     LATERAL (SELECT array_agg(random() + 0 * n * part) AS parts FROM generate_series(1, %(dimension)s) AS part) made
"""
_PATHS = {
    "search": f"search?q=remove+what+was+made+{{}}&catalog={CATALOG}",
    "status": f"api-catalogs/{CATALOG}/embedding-status",
}
_BYTES = """
SELECT sum(pg_total_relation_size(relid)) FROM pg_stat_user_tables WHERE (relname = 'vectors') = %(of_vectors)s
"""


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


@pytest.mark.parametrize("dimension", [384, 768, 1536])
@pytest.mark.timeout(600)
def test_vectors(connection: psycopg.Connection, database_url: str, record: Record, dimension: int) -> None:
    connection.execute(_PUBLISH, {"dimension": dimension})
    before = _bytes(connection, of_vectors=True)
    connection.execute(_INSERT_VECTORS, {"dimension": dimension, "vectors": _VECTORS})
    settings = DatabaseSettings(database_url=SecretStr(database_url), database_statement_seconds=600)
    with closing(Database(settings)) as database:
        assert index_vectors(database, seconds=600, least=_VECTORS).made == 1
    stored = (_bytes(connection, of_vectors=True) - before) / _VECTORS
    record(f"a vector of {dimension} dimensions, with its indexes", stored, "bytes")


@pytest.mark.timeout(600)
def test_operations(
    connection: psycopg.Connection,
    uploads: Uploads,
    start_function: StartFunction,
    queue: dict[str, str],
    record: Record,
    tmp_path: Path,
) -> None:
    name, raw = _large_document()
    messages, position = _messages(queue), _log_position(connection)
    before = _bytes(connection, of_vectors=False)
    stored = uploads.store("main", raw)
    log = tmp_path / "embed.log"
    with Provider() as unused:
        start_function(unused, log, embedding_provider="minilm").index(uploads, stored)
    operations, lines = len(stored.texts), _lines(log)
    chunks = sum(line.get("message") == "chunk written" for line in lines)
    kept = (_bytes(connection, of_vectors=False) - before) / operations
    written = (_log_position(connection) - position) / operations
    billed = 1000 * _sum(lines, "BilledSeconds") / operations
    tokens = (_sum(lines, "TokensUsed") + _sum(lines, "TokensEstimated")) / operations
    record("an operation embedded inside: billed time", billed, "ms", document=name, operations=operations)
    record("an operation: with its document, its job and all indexes", kept, "bytes", document=name)
    record("an operation: write-ahead log, its vector's included", written, "bytes", document=name)
    record("an operation: its text", tokens, "tokens", document=name)
    record("a chunk: log", log.stat().st_size / chunks, "bytes", chunks=chunks)
    record("a slice: messages sent", _messages(queue) - messages, "messages")
    record("a slice: metrics", len(_metrics(lines)), "metrics")


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("kind", "folder"), [("search", "search"), ("status", "api")])
def test_requests(
    uploads: Uploads,
    start_function: StartFunction,
    database_url: str,
    queue: dict[str, str],
    record: Record,
    tmp_path: Path,
    kind: str,
    folder: Literal["api", "search"],
) -> None:
    with Provider() as unused:
        stored = uploads.store("main", document("thing", _OPERATIONS))
        start_function(unused, embedding_provider="minilm").index(uploads, stored)
    with uploads.database.transaction() as c:
        key = create_key(c, "bench", "reader", None).key
    log = tmp_path / "api.log"
    with HttpFunction(folder, {**queue, "DATABASE_URL": database_url, "EMBEDDING_PROVIDER": "minilm"}, log) as function:
        gateway = Gateway(function, key=key)
        gateway.call("GET", f"{BASE_PATH}/{_PATHS[kind]}")  # it loads the model, and is not counted
        logged, answers, spent = log.stat().st_size, [], []
        for number in range(_REQUESTS):
            answers.append(gateway.call("GET", f"{BASE_PATH}/{_PATHS[kind].format(number)}"))
            spent.append(function.spent.seconds)
    assert {answer.status for answer in answers} == {200}
    assert not any("note" in answer.json for answer in answers)  # of an answer that is lexical
    record(f"a {kind} request: billed time", 1000 * median(spent), "ms")
    record(f"a {kind} request: answer", median(len(answer.body) for answer in answers), "bytes")
    record(f"a {kind} request: log", (log.stat().st_size - logged) / _REQUESTS, "bytes")
    record(f"a {kind} request: metrics", len(_metrics(_lines(log))), "metrics")


def test_idle_sweep(database_url: str, queue: dict[str, str], record: Record, tmp_path: Path) -> None:
    logs = [tmp_path / f"sweep-{number}.log" for number in range(_SWEEPS)]
    seconds = [swept_in({**queue, "DATABASE_URL": database_url}, log) for log in logs]
    record("an idle sweep, cold: billed time", 1000 * median(seconds), "ms")
    record("an idle sweep: log", median(log.stat().st_size for log in logs), "bytes")
    record("an idle sweep: metrics", len(_metrics(_lines(logs[0]))), "metrics")


def _large_document() -> tuple[str, bytes]:
    corpus = os.environ.get("OPDEX_CORPUS")
    if corpus:
        return "github_octokit", gzip.decompress((Path(corpus) / "specs" / "github_octokit.json.gz").read_bytes())
    return "generated", document("thing", _OPERATIONS)


def _bytes(connection: psycopg.Connection, *, of_vectors: bool) -> int:
    row = connection.execute(_BYTES, {"of_vectors": of_vectors}).fetchone()
    assert row is not None
    return int(row[0])


def _log_position(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT pg_current_wal_insert_lsn() - '0/0'").fetchone()
    assert row is not None
    return int(row[0])


def _messages(queue: dict[str, str]) -> int:
    client = boto3.client(
        "sqs",
        endpoint_url=queue["AWS_ENDPOINT_URL"],
        region_name=queue["AWS_DEFAULT_REGION"],
        aws_access_key_id=queue["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=queue["AWS_SECRET_ACCESS_KEY"],
    )
    attributes = client.get_queue_attributes(QueueUrl=queue["EMBED_QUEUE_URL"], AttributeNames=["All"])["Attributes"]
    return int(attributes["ApproximateNumberOfMessages"]) + int(attributes["ApproximateNumberOfMessagesDelayed"])


def _lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def _sum(lines: Sequence[dict[str, Any]], metric: str) -> float:
    return sum(sum(line.get(metric, ())) for line in lines if "_aws" in line)


def _metrics(lines: Sequence[dict[str, Any]]) -> set[tuple[str, ...]]:
    """Return what is billed as one metric each: a name with the values of its dimensions."""
    return {
        (metric["Name"], *(str(line[dimension]) for dimension in dimensions))
        for line in lines
        if "_aws" in line
        for directive in line["_aws"]["CloudWatchMetrics"]
        for metric in directive["Metrics"]
        for dimensions in directive["Dimensions"]
    }
