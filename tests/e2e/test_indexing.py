"""The main job through the gateway, the queue and the functions of a deployed stack."""

import gzip
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests.e2e.system import System, document
from tests.integration.engine import wait_until
from tests.zips import packed

pytestmark = pytest.mark.localstack

_PATIENCE_SECONDS = 60.0


@pytest.fixture
def system(running_system: dict[str, Any]) -> Iterator[System]:
    system = System(running_system)
    with system.http:
        yield system


@pytest.fixture
def catalog(system: System) -> Iterator[str]:
    """A new catalog, gone after the test with all that is in it."""
    system.create_catalog(catalog := f"indexing-{uuid4().hex[:6]}")
    yield catalog
    system.call("DELETE", f"/api-catalogs/{catalog}", 204)


@pytest.fixture
def kind() -> str:
    """A word that no text had before, so that all are embedded."""
    return f"kind{uuid4().hex[:6]}"


def _succeeded(system: System, catalog: str) -> bool:
    (status,) = system.statuses(catalog)
    assert status["job_status"] != "failed", status
    return bool(status["job_status"] == "succeeded")


def _found(system: System, catalog: str, query: str) -> list[str]:
    answer = system.call("GET", "/search", params={"q": query, "ranking": "semantic", "catalog": catalog})
    return [operation["path"] for operation in answer["operations"]]


def test_document_is_searched_by_meaning_when_its_job_has_run(system: System, catalog: str, kind: str) -> None:
    job_id = system.upload(catalog, "spec", document(kind, 30))["job"]["id"]
    shown: list[int] = []

    def is_done() -> bool:
        job = system.call("GET", f"/embedding-jobs/{job_id}")
        if job["status"] == "running":
            shown.append(job["embedded_so_far"])
        return bool(job["status"] == "succeeded")

    wait_until(is_done, _PATIENCE_SECONDS, every=0.05)
    assert shown == sorted(shown)
    assert len(set(shown)) > 1  # it is seen to move
    (status,) = system.statuses(catalog)
    assert (status["embedding_count"], status["operation_count"], status["job_attempts"]) == (30, 30, 1)
    assert _found(system, catalog, f"Read {kind} number 7")[0] == f"/{kind}/7"


def test_only_new_texts_are_embedded_when_a_document_changes(system: System, catalog: str, kind: str) -> None:
    system.upload(catalog, "spec", document(kind, 10))
    wait_until(lambda: _succeeded(system, catalog), _PATIENCE_SECONDS, every=0.05)
    system.upload(catalog, "spec", document(kind, 12), expected=200)
    wait_until(lambda: _succeeded(system, catalog), _PATIENCE_SECONDS, every=0.05)
    (status,) = system.statuses(catalog)
    assert (status["revision"], status["embedding_count"], status["reused"]) == (2, 12, 10)


def test_clone_is_searched_at_once_when_its_source_is_published(system: System, catalog: str, kind: str) -> None:
    system.upload(catalog, "spec", document(kind, 5))
    wait_until(lambda: _succeeded(system, catalog), _PATIENCE_SECONDS, every=0.05)
    clone = {"id": f"{catalog}-2", "name": catalog, "version": "2"}
    system.call("POST", f"/api-catalogs/{catalog}/clone", 201, json=clone)
    assert _found(system, clone["id"], f"Read {kind} number 3")[0] == f"/{kind}/3"
    system.call("DELETE", f"/api-catalogs/{clone['id']}", 204)


def test_job_ends_when_it_is_cancelled(system: System, catalog: str, kind: str) -> None:
    job_id = system.upload(catalog, "spec", document(kind, 100))["job"]["id"]
    status = f"/embedding-jobs/{job_id}"
    wait_until(lambda: system.call("GET", status)["status"] == "running", _PATIENCE_SECONDS, every=0.05)
    system.call("POST", f"{status}/cancel", 202)
    assert system.call("GET", status)["status"] == "cancelled"
    assert [shown["embedding_count"] for shown in system.statuses(catalog)] == [0]


@pytest.mark.parametrize(
    ("media_type", "query", "pack"),
    [
        ("application/gzip", "", gzip.compress),
        ("application/zip", "?entry=api/openapi.json", lambda raw: packed({"api/openapi.json": raw})),
    ],
)
def test_packed_document_is_taken_when_it_comes_through_the_gateway(
    system: System, catalog: str, kind: str, media_type: str, query: str, pack: Any
) -> None:
    path = f"/api-catalogs/{catalog}/specs/packed/upload{query}"
    headers = {"Content-Type": media_type}
    answer = system.call("PUT", path, 201, content=pack(document(kind, 2)), headers=headers)
    assert answer["operation_count"] == 2
