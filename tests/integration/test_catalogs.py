"""Catalogs over HTTP, on the real stores: changed, cloned, deleted, also while workers and uploads are at it."""

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from opdex.catalog.clone import clone_catalog
from opdex.catalog.store import create_catalog, delete_catalog, delete_spec
from opdex.catalog.upload import store_document
from opdex.database import Database
from opdex.errors import CatalogNotFound
from opdex.http.routing import BASE_PATH
from opdex.jobs.retention import apply_retention
from opdex.openapi import describe
from tests.gateway import Gateway
from tests.integration.conforming import upload
from tests.integration.conftest import MakeGateway
from tests.integration.engine import CATALOG, Engine, document, things, wait_until

_CATALOGS = f"{BASE_PATH}/api-catalogs"
_COPY = {"id": "copy", "name": "Copy", "version": "1"}
# What a clone has of its own.
_OWN = {
    "specs": {"id", "catalog_id", "created_at", "updated_at"},
    "revisions": {"spec_id", "created_at", "original_spec_id", "original_revision"},
}
# What is forgotten of a spec's source: a clone's has not failed yet.
_OWN["specs"] |= {"fetch_failures", "last_fetch_error", "last_fetch_error_code", "last_fetch_failed_at"}


def _index(engine: Engine, spec_name: str, summaries: list[str], catalog_id: str = CATALOG) -> None:
    engine.upload(spec_name, summaries, catalog_id)
    engine.worker().handle()


def _found(gateway: Gateway, catalog_id: str, query: str = "thing+number+1") -> list[str]:
    answer = gateway.call("GET", f"{BASE_PATH}/search?q={query}&catalog={catalog_id}&ranking=semantic")
    assert answer.json["ranking"] == "semantic", answer.json
    return [operation["path"] for operation in answer.json["operations"]]


def _clone(engine: Engine, source: str = CATALOG, target: str = "copy") -> tuple[int, ...]:
    made = engine.transact(
        lambda c: clone_catalog(c, source, engine.embedder.identity, id=target, name=target, version="1")
    )
    return made.job_ids


def _rows(engine: Engine, table: str, spec_ids: str) -> list[dict[str, Any]]:
    place = "id" if table == "specs" else "spec_id"
    return [
        {name: value for name, value in row.items() if name not in _OWN[table]}
        for row in engine.sql(f"SELECT * FROM {table} WHERE {place} IN ({spec_ids}) ORDER BY {place}, 2, 3")
    ]


# Changing.


def test_only_what_is_sent_of_a_catalog_changes(gateway: Gateway, crm: str) -> None:
    before = gateway.call("GET", crm).json

    answer = gateway.call("PUT", crm, {"description": "Customers", "version": None, "colour": "red"})

    assert (answer.status, answer.json["description"]) == (200, "Customers")
    kept = {"id", "name", "version", "display_name", "created_at", "spec_count", "operation_count"}
    assert {name: answer.json[name] for name in kept} == {name: before[name] for name in kept}
    renamed = gateway.call("PUT", crm, {**answer.json, "name": "Sales", "version": "2", "display_name": "Sales 2"})
    assert [renamed.json[name] for name in ("name", "version", "display_name", "description")] == [
        "Sales", "2", "Sales 2", "Customers",
    ]  # fmt: skip
    assert gateway.call("GET", crm).json == renamed.json
    assert gateway.call("PUT", crm, {"description": ""}).json["description"] == ""
    assert gateway.call("PUT", crm, {}).status == 200


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"name": "Other", "version": "2"}, 409, "catalog_exists"),
        ({"version": "2", "name": "Other", "description": "x"}, 409, "catalog_exists"),
        ({"name": ""}, 400, "malformed_request"),
        ({"version": "v" * 51}, 400, "malformed_request"),
        ({"name": 7}, 400, "malformed_request"),
        ({"id": "sales"}, 400, "malformed_request"),
    ],
)
def test_change_of_a_catalog_is_refused_whole(
    gateway: Gateway, crm: str, changes: dict[str, Any], status: int, code: str
) -> None:
    gateway.call("POST", _CATALOGS, {"id": "other", "name": "Other", "version": "2"})
    before = gateway.call("GET", crm).json

    answer = gateway.call("PUT", crm, changes)

    assert (answer.status, answer.code) == (status, code)
    assert gateway.call("GET", crm).json == before


def test_change_of_a_catalog_that_is_not_there_is_404(gateway: Gateway) -> None:
    assert gateway.call("PUT", f"{_CATALOGS}/nothing", {"name": "x"}).code == "catalog_not_found"


# Cloning.


def test_clone_is_searched_at_once_and_nothing_is_embedded_again(gateway: Gateway, crm: str, engine: Engine) -> None:
    for name in ("users", "orders"):
        _index(engine, name, things(4, name), "crm")
    gateway.call("PUT", crm, {"description": "Customers", "display_name": "CRM"})
    engine.embedder.calls.clear()
    engine.wake_ups.sent.clear()

    answer = gateway.call("POST", f"{crm}/clone", {**_COPY, "display_name": "The copy"})

    assert answer.status == 201
    expected = {**_COPY, "display_name": "The copy", "description": "Customers", "spec_count": 2, "operation_count": 8}
    assert {name: answer.json[name] for name in expected} == expected
    health = gateway.call("GET", f"{_CATALOGS}/copy/embedding-health").json
    assert (health["specs_total"], health["specs_indexed"], health["specs_pending"]) == (2, 2, 0)
    assert sorted(_found(gateway, "copy")) == sorted(_found(gateway, "crm"))
    assert len(_found(gateway, "copy")) == 8
    assert engine.wake_ups.sent == []
    assert engine.sql("SELECT id FROM jobs WHERE catalog_id = 'copy'") == []
    assert engine.worker().outcomes() == []
    assert engine.embedder.calls == []


def test_clone_has_every_column_of_its_source(engine: Engine) -> None:
    _index(engine, "users", things(3))
    engine.upload("users", things(4))
    engine.sql("""
        UPDATE specs SET source_kind = 'url', source_url = 'https://example.com/users', given_base_path = '/v2',
            etag = '"1"', last_modified = 'Tue, 19 May 2026 11:42:03 GMT', refresh_hours = 24,
            next_fetch_at = now() + interval '1 day', fetch_failures = 2, last_fetch_error = 'It is away.',
            last_fetch_error_code = 'upstream_failed', last_fetch_failed_at = now()
    """)
    engine.sql("""UPDATE revisions SET base_path = '/v1', warnings = '[{"code": "a", "message": "b", "pointer": ""}]',
        webhooks = '[{"name": "n", "method": "POST", "operation_id": "o", "summary": "s", "deprecated": false}]'""")

    _clone(engine)

    for table in ("specs", "revisions"):
        of = "SELECT id FROM specs WHERE catalog_id = '{}'"
        source, copy = (_rows(engine, table, of.format(catalog_id)) for catalog_id in (CATALOG, "copy"))
        assert copy == source
    assert [row["revision"] for row in copy] == [1, 2], "the published and the current one"
    (spec,) = engine.sql("SELECT fetch_failures, last_fetch_error FROM specs WHERE catalog_id = 'copy'")
    assert spec == {"fetch_failures": 0, "last_fetch_error": None}


def test_clone_leaves_out_revisions_that_nothing_shows(engine: Engine) -> None:
    for count in (2, 3, 4):
        _index(engine, "users", things(count))

    _clone(engine)

    assert engine.sql(
        "SELECT r.revision FROM revisions r JOIN specs s ON s.id = r.spec_id AND s.catalog_id = 'copy'"
    ) == [{"revision": 3}]


def test_clone_opens_a_job_for_each_spec_that_is_not_published_yet(gateway: Gateway, crm: str, engine: Engine) -> None:
    _index(engine, "done", things(2, "done"), "crm")
    _index(engine, "changed", things(2, "before"), "crm")
    engine.upload("changed", things(3, "after"), "crm")
    engine.upload("new", things(2, "new"), "crm")
    engine.wake_ups.sent.clear()

    assert gateway.call("POST", f"{crm}/clone", _COPY).status == 201

    jobs = gateway.call("GET", f"{_CATALOGS}/copy/embedding-jobs").json["jobs"]
    assert {(job["spec_name"], job["revision"], job["operation_count"]) for job in jobs} == {
        ("changed", 2, 3),
        ("new", 1, 2),
    }
    assert len(engine.wake_ups.of_kind("ready")) == 2, "one worker is woken, now and later"
    # What is published by its vectors, and what is not yet by its words.
    assert sorted(_found(gateway, "copy")) == ["/things/0"] * 3 + ["/things/1"] * 3
    engine.worker().handle()
    assert gateway.call("GET", f"{_CATALOGS}/copy/embedding-health").json["specs_indexed"] == 3
    assert len(engine.embedder.texts) == len(set(engine.embedder.texts)) == 9


def test_clone_under_another_model_is_embedded_under_the_new_one(engine: Engine) -> None:
    _index(engine, "users", things(2))
    engine.embedder.model = "hash-8-new"

    (job_id,) = _clone(engine)
    engine.sql("DELETE FROM jobs WHERE id <> %s", job_id)

    assert engine.worker().outcomes() == ["published"]
    assert engine.events(job_id)[-1] == "published"


@pytest.mark.parametrize(
    ("draft", "status", "code"),
    [
        ({"id": "crm", "name": "Copy", "version": "1"}, 409, "catalog_exists"),
        ({"id": "copy", "name": "CRM", "version": "1"}, 409, "catalog_exists"),
        ({"id": "copy", "name": "Copy"}, 400, "malformed_request"),
        ({"id": "Copy!", "name": "Copy", "version": "1"}, 400, "malformed_request"),
    ],
)
def test_refused_clone_leaves_nothing(
    gateway: Gateway, crm: str, draft: dict[str, Any], status: int, code: str, engine: Engine
) -> None:
    upload(gateway, f"{crm}/specs/users", things(2))
    answer = gateway.call("POST", f"{crm}/clone", draft)
    assert (answer.status, answer.code) == (status, code)
    assert engine.sql("SELECT count(*) FROM specs") == [{"count": 1}]


def test_clone_of_nothing_is_404(gateway: Gateway) -> None:
    assert gateway.call("POST", f"{_CATALOGS}/nothing/clone", _COPY).code == "catalog_not_found"
    assert gateway.call("GET", f"{_CATALOGS}/copy").code == "catalog_not_found"


def test_clone_goes_its_own_way(gateway: Gateway, crm: str, engine: Engine) -> None:
    _index(engine, "users", things(3), "crm")
    gateway.call("POST", f"{crm}/clone", _COPY)

    _index(engine, "users", [*things(2), "another thing"], "copy")
    _index(engine, "users", things(5), "crm")

    assert gateway.call("GET", f"{_CATALOGS}/copy/specs/users").json["operation_count"] == 3
    assert gateway.call("GET", f"{crm}/specs/users").json["operation_count"] == 5
    assert len(_found(gateway, "copy")) == 3


def test_clone_of_a_clone_outlives_both(gateway: Gateway, crm: str, engine: Engine) -> None:
    _index(engine, "users", things(3), "crm")
    _clone(engine, "crm", "second")
    _clone(engine, "second", "third")
    for catalog_id in ("crm", "second"):
        assert gateway.call("DELETE", f"{_CATALOGS}/{catalog_id}").status == 204
    engine.sql("UPDATE vectors SET made_at = now() - interval '15 days'")

    forgotten = apply_retention(engine.database, days=14, seconds=60)

    assert (forgotten.operations, forgotten.vectors) == (0, 0)
    assert len(_found(gateway, "third")) == 3
    # Its texts are embedded again where that is asked for, though they were stored with a spec that is gone.
    engine.embedder.calls.clear()
    gateway.call("POST", f"{_CATALOGS}/third/reembed")
    assert engine.worker().outcomes() == ["published"]
    assert len(engine.embedder.texts) == 3
    gateway.call("DELETE", f"{_CATALOGS}/third")
    forgotten = apply_retention(engine.database, days=14, seconds=60)
    assert forgotten.operations == 3
    assert engine.sql("SELECT count(*) FROM stored_operations") == [{"count": 0}]


def test_same_document_uploaded_to_a_clone_makes_no_revision(engine: Engine) -> None:
    _index(engine, "users", things(3))
    _clone(engine)

    again = engine.upload("users", things(3), "copy")

    assert (again.spec.revision, again.changes.unchanged, again.job_id) == (1, 3, None)


def test_clone_waits_for_no_upload_and_sees_one_moment(engine: Engine, other: Database) -> None:
    for name in ("orders", "users"):
        _index(engine, name, things(2, name))
    raw = document(things(5))
    with other.transaction() as c:
        for name in ("orders", "users", "new"):
            store_document(c, CATALOG, name, raw, describe(raw), "upload", None, engine.embedder.identity)
        _clone(engine)

    copied = engine.sql("SELECT spec_name, current_revision FROM specs WHERE catalog_id = 'copy' ORDER BY spec_name")
    assert copied == [{"spec_name": "orders", "current_revision": 1}, {"spec_name": "users", "current_revision": 1}]


def test_operations_stay_when_the_source_is_deleted_while_it_is_cloned(engine: Engine, other: Database) -> None:
    _index(engine, "users", things(3))
    model = engine.embedder.identity
    deleting = threading.Thread(target=lambda: engine.transact(lambda c: delete_spec(c, CATALOG, "users")))
    with other.transaction() as c:
        clone_catalog(c, CATALOG, model, id="copy", name="copy", version="1")
        deleting.start()
        wait_until(engine.somebody_waits)
    deleting.join()

    assert apply_retention(engine.database, days=14, seconds=60).operations == 0
    assert engine.sql("SELECT count(*) FROM operations") == [{"count": 3}]


def test_clone_of_a_catalog_that_is_just_being_deleted_is_of_nothing(engine: Engine, other: Database) -> None:
    _index(engine, "users", things(3))
    outcome: list[BaseException | None] = []

    def clone() -> None:
        try:
            _clone(engine)
        except CatalogNotFound as error:
            outcome.append(error)

    cloning = threading.Thread(target=clone)
    with other.transaction() as c:
        delete_catalog(c, CATALOG)
        cloning.start()
        wait_until(engine.somebody_waits)
    cloning.join()

    assert [type(error) for error in outcome] == [CatalogNotFound]


# Deleting.


@pytest.mark.parametrize("what", ["catalog", "spec"])
def test_worker_stops_and_writes_nothing_when_its_spec_is_deleted_mid_run(
    gateway: Gateway, crm: str, engine: Engine, what: str
) -> None:
    job_id = upload(gateway, f"{crm}/specs/users", things(20)).json["job"]["id"]

    def delete(texts: Sequence[str]) -> None:
        if len(engine.embedder.calls) == 2:
            assert gateway.call("DELETE", crm if what == "catalog" else f"{crm}/specs/users").status == 204

    engine.embedder.script = delete
    assert engine.worker().outcomes() == ["lease_lost"]

    calls = len(engine.embedder.calls)
    job = gateway.call("GET", f"{BASE_PATH}/embedding-jobs/{job_id}").json
    assert (job["status"], job["events"][-1]["event"]) == ("cancelled", "cancelled")
    assert engine.sql("SELECT count(*) FROM specs") == [{"count": 0}]
    assert engine.worker().outcomes() == []
    assert len(engine.embedder.calls) == calls


def test_all_open_jobs_of_a_deleted_catalog_are_cancelled_and_no_others(gateway: Gateway, engine: Engine) -> None:
    for catalog_id in ("gone", "kept"):
        engine.transact(lambda c, name=catalog_id: create_catalog(c, id=name, name=name, version="1"))  # type: ignore[misc]
    _index(engine, "done", things(1, "done"), "gone")
    for name in ("users", "orders"):
        engine.upload(name, things(2, name), "gone")
    kept = engine.job_id("users", things(3), "kept")

    assert gateway.call("DELETE", f"{_CATALOGS}/gone").status == 204

    jobs = gateway.call("GET", f"{_CATALOGS}/gone/embedding-jobs").json["jobs"]
    assert sorted((job["spec_name"], job["status"]) for job in jobs) == [
        ("done", "succeeded"), ("orders", "cancelled"), ("users", "cancelled"),
    ]  # fmt: skip
    cancelled = [job["id"] for job in jobs if job["status"] == "cancelled"]
    assert [engine.events(job_id)[-1] for job_id in cancelled] == ["cancelled", "cancelled"]
    assert engine.job(kept).status == "pending"


# Many at once.


@pytest.mark.parametrize("path", ["reembed", "embedding-jobs/retry-failed"])
@pytest.mark.parametrize(("workers", "woken"), [(1, 1), (3, 3), (9, 5)])
def test_as_many_workers_as_there_are_wake_when_a_whole_catalog_is_queued(
    engine: Engine, make_gateway: MakeGateway, path: str, workers: int, woken: int
) -> None:
    gateway = make_gateway(workers=workers)
    job_ids = [engine.job_id(f"spec{n}", things(1, f"kind{n}"), "crm") for n in range(5)]
    engine.sql("UPDATE jobs SET status = 'failed', completed_at = now()")
    engine.wake_ups.sent.clear()

    queued = [job["job_id"] for job in gateway.call("POST", f"{_CATALOGS}/crm/{path}").json["jobs"]]

    assert len(queued) == 5
    assert not set(queued) & set(job_ids)
    at_once = [job_id for job_id, delay in engine.wake_ups.of_kind("ready") if not delay]
    assert at_once == queued[:woken]
    assert [delay for _, delay in engine.wake_ups.of_kind("ready") if delay] == [45]


# Pages.


def test_specs_are_listed_page_by_page_in_one_order(gateway: Gateway, crm: str, engine: Engine) -> None:
    names = ["a-b", "a0", "a_b", "ab", "b"]
    for name in reversed(names):
        upload(gateway, f"{crm}/specs/{name}", things(1))
    assert [spec["spec_name"] for spec in gateway.call("GET", f"{crm}/specs").json["specs"]] == names
    for limit in (1, 2, 5):
        seen, path = [], f"{crm}/specs?limit={limit}"
        page = gateway.call("GET", path).json
        while True:
            assert len(page["specs"]) <= limit
            seen += [spec["spec_name"] for spec in page["specs"]]
            if "next" not in page:
                break
            page = gateway.call("GET", f"{path}&cursor={page['next']}").json
        assert seen == names


@pytest.mark.parametrize("path", ["", "/crm/specs", "/crm/embedding-status", "/crm/embedding-jobs"])
@pytest.mark.parametrize("query", ["cursor=!", "cursor=%00", "cursor=YQ==", "limit=0", "limit=501", "limit=x"])
def test_page_that_cannot_be_is_400(gateway: Gateway, crm: str, path: str, query: str) -> None:
    answer = gateway.call("GET", f"{_CATALOGS}{path}?{query}")
    assert (answer.status, answer.code) == (400, "malformed_request")
