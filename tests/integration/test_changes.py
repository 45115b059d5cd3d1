"""What the answer to an upload says of its operations, and what of it is embedded."""

import json
from typing import Any

import pytest

from opdex.catalog.models import Changes, Upload
from opdex.catalog.store import create_catalog
from opdex.catalog.upload import store_document
from opdex.openapi import describe
from tests.integration.engine import Engine, things

type Paths = dict[str, dict[str, Any]]

_BEFORE: Paths = {
    "/users": {
        "get": {"summary": "List users", "operationId": "listUsers", "tags": ["users"]},
        "post": {"summary": "Add"},
    },
    "/users/{id}": {"get": {"summary": "Read a user", "description": "All of it."}, "delete": {"summary": "Drop"}},
}


def _changes(added: int = 0, changed: int = 0, removed: int = 0, unchanged: int = 0) -> Changes:
    return Changes(added=added, changed=changed, removed=removed, unchanged=unchanged)


def _with(place: tuple[str, str], **fields: Any) -> Paths:
    path, method = place
    return {**_BEFORE, path: {**_BEFORE[path], method: {**_BEFORE[path].get(method, {}), **fields}}}


@pytest.fixture
def catalog(engine: Engine) -> str:
    return engine.transact(lambda c: create_catalog(c, id="crm", name="CRM", version="1")).id


def _upload(engine: Engine, paths: Paths, title: str = "Users") -> Upload:
    document = {"openapi": "3.0.3", "info": {"title": title, "version": "1"}, "paths": paths}
    raw = json.dumps(document).encode()
    description = describe(raw)
    return engine.transact(
        lambda c: store_document(c, "crm", "users", raw, description, "upload", None, engine.embedder.identity)
    )


_LIST = ("/users", "get")


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        pytest.param(_BEFORE, _changes(unchanged=4), id="nothing"),
        pytest.param({path: _BEFORE[path] for path in reversed(_BEFORE)}, _changes(unchanged=4), id="the order"),
        pytest.param(_with(_LIST, summary="List people"), _changes(changed=1, unchanged=3), id="a summary"),
        pytest.param(_with(_LIST, description="Page by page."), _changes(changed=1, unchanged=3), id="a description"),
        pytest.param(_with(_LIST, operationId="users"), _changes(changed=1, unchanged=3), id="an operationId"),
        pytest.param(_with(_LIST, deprecated=True), _changes(changed=1, unchanged=3), id="deprecated"),
        pytest.param(_with(_LIST, tags=["people"]), _changes(changed=1, unchanged=3), id="a tag"),
        pytest.param(_with(("/users", "put"), summary="Set"), _changes(added=1, unchanged=4), id="one more"),
        pytest.param({"/users": _BEFORE["/users"]}, _changes(removed=2, unchanged=2), id="a path less"),
        pytest.param(
            {"/people": _BEFORE["/users"], "/users/{id}": _BEFORE["/users/{id}"]},
            _changes(added=2, removed=2, unchanged=2),
            id="a path moved",
        ),
        pytest.param({}, _changes(removed=4), id="nothing left"),
        pytest.param({"/other": {"get": {}}}, _changes(added=1, removed=4), id="all else"),
    ],
)
def test_changes_are_counted_by_operation_when_a_document_changes(
    engine: Engine, catalog: str, paths: Paths, expected: Changes
) -> None:
    first = _upload(engine, _BEFORE)
    assert (first.created, first.changes) == (True, _changes(added=4))

    again = _upload(engine, paths)

    assert (again.created, again.changes) == (False, expected)
    assert again.spec.operation_count == expected.added + expected.changed + expected.unchanged


def test_changes_are_counted_right_when_the_first_of_two_at_one_place_goes(engine: Engine, catalog: str) -> None:
    _upload(engine, {"users": {"get": {"summary": "One"}}, "/users": {"get": {"summary": "Two", "operationId": "two"}}})

    left = _upload(engine, {"/users": {"get": {"summary": "Two", "operationId": "two"}}})

    assert left.changes == _changes(removed=1, unchanged=1)


def test_exactly_three_texts_are_embedded_when_three_operations_change(engine: Engine) -> None:
    engine.upload("users", things(50))
    engine.worker().handle()
    engine.embedder.calls.clear()

    changed = engine.upload("users", ["first", *things(50)[1:25], "second", *things(50)[26:49], "third"])
    assert engine.worker().outcomes() == ["published"]

    assert changed.changes == _changes(changed=3, unchanged=47)
    assert [text.partition(".")[0] for text in sorted(engine.embedder.texts)] == ["first", "second", "third"]


def test_no_job_starts_when_no_text_changed_and_the_revision_is_published(engine: Engine, catalog: str) -> None:
    _upload(engine, _BEFORE)
    engine.worker().handle()
    engine.embedder.calls.clear()
    before = engine.sql("SELECT count(*) FROM jobs")

    stored = [
        _upload(engine, _BEFORE),
        _upload(engine, _BEFORE, title="People"),
        _upload(engine, _with(_LIST, tags=["a"])),
    ]

    assert [upload.job_id for upload in stored] == [None, None, None]
    assert [upload.spec.revision for upload in stored] == [1, 2, 3]
    assert [upload.spec.embedding_count for upload in stored] == [4, 4, 4]
    assert engine.sql("SELECT count(*) FROM jobs") == before
    assert engine.embedder.calls == []


def test_a_job_opens_when_no_text_changed_but_the_revision_is_not_published(engine: Engine, catalog: str) -> None:
    first = _upload(engine, _BEFORE).job_id

    assert _upload(engine, _BEFORE).job_id == first
    engine.sql("UPDATE jobs SET status = 'failed', completed_at = now()")
    assert _upload(engine, _BEFORE).job_id not in (None, first)
