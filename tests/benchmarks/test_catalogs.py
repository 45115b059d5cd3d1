"""What cloning and deleting a large catalog costs: 100 specs of 1,000 operations, their vectors and their jobs."""

import json
import time
from collections.abc import Iterator

import pytest

from opdex.http.keys_store import create_key
from opdex.http.routing import BASE_PATH
from opdex.jobs.retention import apply_retention
from tests.benchmarks.figures import Record
from tests.benchmarks.http_function import HttpFunction
from tests.benchmarks.uploads import CATALOG, Uploads
from tests.gateway import Answer, Gateway

_SPECS, _OPERATIONS, _JOBS = 100, 1_000, 50
_MOST_SECONDS = 5.0
_CATALOGS = f"{BASE_PATH}/api-catalogs"
_SENTENCE = "Reads what is stored of it, field by field, as it was when it was last changed by whoever may change it. "

_EMBEDDED = (
    "UPDATE models SET dimension = 384",
    """
    INSERT INTO vectors (model_id, text_hash, embedding)
    SELECT m.id, o.text_hash, made.vector FROM (SELECT DISTINCT text_hash FROM stored_operations) o, models m,
         LATERAL (SELECT array_agg(sin(n + get_byte(o.text_hash, n % 32)))::vector AS vector
                  FROM generate_series(1, 384) n) made
    """,
    "UPDATE jobs SET status = 'succeeded', completed_at = now()",
    "UPDATE specs s SET published_revision = s.current_revision, published_model_id = m.id FROM models m",
    # Each spec has been embedded often.
    f"""
    INSERT INTO jobs (spec_id, catalog_id, spec_name, kind, status, revision, operation_count, completed_at)
    SELECT id, catalog_id, spec_name, 'manual_retry', 'succeeded', 1, {_OPERATIONS}, now()
    FROM specs, generate_series(2, {_JOBS})
    """,
    "ANALYZE",
)


@pytest.fixture
def gateway(database_url: str, queue: dict[str, str], uploads: Uploads) -> Iterator[Gateway]:
    """The API's function behind a gateway, warm; the usual catalog is full."""
    for number in range(_SPECS):
        uploads.store(f"spec-{number}", _document(number))
    with uploads.database.transaction() as c:
        for statement in _EMBEDDED:
            c.execute(statement)
        key = create_key(c, "bench", "admin", None).key
    with HttpFunction("api", {**queue, "DATABASE_URL": database_url, "EMBEDDING_PROVIDER": "ollama"}) as function:
        gateway = Gateway(function, key=key)
        gateway.call("GET", _CATALOGS)
        yield gateway


@pytest.mark.timeout(600)
def test_clone_and_delete(gateway: Gateway, uploads: Uploads, record: Record) -> None:
    draft = {"name": "Copy", "version": "1"}
    embedded, clone = _timed(gateway, "POST", f"{_CATALOGS}/{CATALOG}/clone", {"id": "copy", **draft})
    assert (clone.status, clone.json["operation_count"]) == (201, _SPECS * _OPERATIONS)
    record("clone of a catalog of 100,000 operations", embedded, "s", at_most=_MOST_SECONDS)
    assert len(gateway.call("GET", f"{_CATALOGS}/copy/embedding-jobs").json["jobs"]) == 0

    with uploads.database.transaction() as c:
        c.execute(
            "UPDATE specs SET published_revision = NULL, published_model_id = NULL WHERE catalog_id = %s", [CATALOG]
        )
        c.execute("DELETE FROM vectors WHERE get_byte(text_hash, 0) < 26")
    waiting, clone = _timed(gateway, "POST", f"{_CATALOGS}/{CATALOG}/clone", {"id": "third", **draft, "version": "2"})
    assert clone.status == 201
    opened = gateway.call("GET", f"{_CATALOGS}/third/embedding-jobs?status=pending&limit=500").json["jobs"]
    assert len(opened) == _SPECS
    record("the same, where all its specs are yet to be embedded", waiting, "s", at_most=_MOST_SECONDS)

    assert gateway.call("POST", f"{_CATALOGS}/{CATALOG}/reembed").status == 202
    for catalog_id, named in ((CATALOG, "it, with 100 open and 5,000 finished jobs"), ("copy", "its clone")):
        seconds, deleted = _timed(gateway, "DELETE", f"{_CATALOGS}/{catalog_id}")
        assert deleted.status == 204
        record(f"delete of {named}", seconds, "s", at_most=_MOST_SECONDS)
    assert gateway.call("DELETE", f"{_CATALOGS}/third").status == 204

    began = time.monotonic()
    forgotten = apply_retention(uploads.database, days=14, seconds=60)
    assert forgotten.operations == _SPECS * _OPERATIONS
    record("the next sweep, dropping the 100,000 operations", time.monotonic() - began, "s")


def _timed(gateway: Gateway, method: str, path: str, body: dict[str, str] | None = None) -> tuple[float, Answer]:
    began = time.monotonic()
    answer = gateway.call(method, path, body)
    return time.monotonic() - began, answer


def _document(spec: int) -> bytes:
    paths = {
        f"/kind{spec}/{{id}}/part{number}": {
            "get": {
                "operationId": f"readPart{number}OfKind{spec}",
                "summary": f"Read part {number} of kind {spec}",
                "description": _SENTENCE * 4 + f"It is number {number}.",
                "tags": [f"kind{spec}"],
            }
        }
        for number in range(_OPERATIONS)
    }
    return json.dumps({"openapi": "3.0.3", "info": {"title": f"Kind {spec}", "version": "1"}, "paths": paths}).encode()
