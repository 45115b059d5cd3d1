"""The HTTP contract on the real stores; every answer is held against the service's own description."""

import gzip
import json
import re
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from opdex.http.routing import BASE_PATH
from tests.gateway import Gateway
from tests.integration.conforming import upload
from tests.integration.engine import Engine, document, things


def test_document_goes_in_and_its_operations_are_found(gateway: Gateway, crm: str, engine: Engine) -> None:
    answer = upload(gateway, f"{crm}/specs/users", things(6))
    assert (answer.status, answer.json["operation_count"]) == (201, 6)
    assert answer.json["changes"] == {"added": 6, "changed": 0, "removed": 0, "unchanged": 0}
    job_id = answer.json["job"]["id"]
    assert engine.wake_ups.of_kind("ready") == [(job_id, 0), (job_id, 45)]

    (row,) = gateway.call("GET", f"{crm}/embedding-status").json["specs"]
    assert (row["job_status"], row["job_attempts"], row["embedding_count"]) == ("pending", 0, 0)
    assert "embedded_so_far" not in row
    assert engine.worker().outcomes(job_id=job_id) == ["published"]
    (row,) = gateway.call("GET", f"{crm}/embedding-status?spec=users").json["specs"]
    assert (row["job_status"], row["embedding_count"], row["operation_count"]) == ("succeeded", 6, 6)
    assert "embedded_so_far" not in row

    health = gateway.call("GET", f"{crm}/embedding-health").json
    assert (health["specs_total"], health["specs_indexed"]) == (1, 1)
    job = gateway.call("GET", f"{BASE_PATH}/embedding-jobs/{job_id}").json
    assert job["status"] == "succeeded"
    assert "published" in [event["event"] for event in job["events"]]
    for ranking in ("hybrid", "semantic", "lexical"):
        found = gateway.call("GET", f"{BASE_PATH}/search?q=thing+number+3&catalog=crm&ranking={ranking}").json
        assert found["ranking"] == ranking
        assert any(operation["path"] == "/things/3" for operation in found["operations"])


def test_status_carries_progress_exactly_while_the_job_runs(gateway: Gateway, crm: str, engine: Engine) -> None:
    upload(gateway, f"{crm}/specs/users", things(9))
    seen: list[int] = []

    def look(_: object) -> None:
        (row,) = gateway.call("GET", f"{crm}/embedding-status").json["specs"]
        assert row["job_status"] == "running"
        seen.append(row["embedded_so_far"])

    engine.embedder.script = look
    engine.worker().handle()
    assert seen[0] == 0
    assert seen == sorted(seen)
    assert seen[-1] > 0


def test_same_document_again_answers_200_and_wakes_nobody(gateway: Gateway, crm: str, engine: Engine) -> None:
    upload(gateway, f"{crm}/specs/users", things(3))
    engine.worker().handle()
    engine.wake_ups.sent.clear()
    again = upload(gateway, f"{crm}/specs/users", things(3))
    assert (again.status, again.json["revision"], again.json["embedding_count"]) == (200, 1, 3)
    changed = upload(gateway, f"{crm}/specs/users", [*things(2), "another thing"])
    assert (changed.status, changed.json["revision"]) == (200, 2)
    assert changed.json["changes"] == {"added": 0, "changed": 1, "removed": 0, "unchanged": 2}
    assert {job_id for job_id, _ in engine.wake_ups.of_kind("ready")} == {changed.json["job"]["id"]}


def test_bad_document_leaves_what_was_stored(gateway: Gateway, crm: str) -> None:
    upload(gateway, f"{crm}/specs/users", things(3))
    bad = gateway.call("PUT", f"{crm}/specs/users/upload", b"hello", headers={"Content-Type": "application/json"})
    assert (bad.status, bad.code) == (422, "not_openapi")
    assert gateway.call("GET", f"{crm}/specs/users").json["operation_count"] == 3


def test_document_with_characters_that_postgres_does_not_store_is_no_error_of_ours(gateway: Gateway, crm: str) -> None:
    body = document(["a\0b", "c\ud800d", "e"])
    answer = gateway.call("PUT", f"{crm}/specs/users/upload", body, headers={"Content-Type": "application/json"})
    assert answer.status in (201, 422), answer.body


def test_catalog_conflicts_are_409(gateway: Gateway, crm: str) -> None:
    for draft in ({"id": "crm", "name": "Other", "version": "1"}, {"id": "other", "name": "CRM", "version": "1"}):
        answer = gateway.call("POST", f"{BASE_PATH}/api-catalogs", draft)
        assert (answer.status, answer.code) == (409, "catalog_exists")
    assert gateway.call("GET", f"{BASE_PATH}/api-catalogs/other").code == "catalog_not_found"


@pytest.mark.parametrize("changes", [{}, {"name": "CRM"}, {"display_name": None}])
def test_catalog_stays_as_it_was_when_nothing_of_it_changes(
    gateway: Gateway, crm: str, changes: dict[str, str | None]
) -> None:
    before = gateway.call("GET", crm).json
    answer = gateway.call("PUT", crm, changes)
    assert (answer.status, answer.json) == (200, before)
    assert gateway.call("PUT", crm, {"name": "Other"}).json["updated_at"] > before["updated_at"]


def test_catalogs_are_listed_page_by_page(gateway: Gateway) -> None:
    names = sorted(f"catalog-{uuid4().hex[:6]}" for _ in range(5))
    for name in names:
        gateway.call("POST", f"{BASE_PATH}/api-catalogs", {"id": name, "name": name, "version": "1"})
    seen: list[str] = []
    cursor = ""
    while True:
        page = gateway.call("GET", f"{BASE_PATH}/api-catalogs?limit=2{cursor}").json
        seen += [catalog["id"] for catalog in page["catalogs"]]
        if "next" not in page:
            break
        cursor = f"&cursor={page['next']}"
    assert seen == names


def test_deleted_things_are_gone_and_their_jobs_readable(gateway: Gateway, crm: str) -> None:
    job_id = upload(gateway, f"{crm}/specs/users", things(2)).json["job"]["id"]
    assert gateway.call("DELETE", f"{crm}/specs/users").status == 204
    assert gateway.call("GET", f"{crm}/specs/users").code == "spec_not_found"
    assert gateway.call("DELETE", f"{crm}/specs/users").code == "spec_not_found"
    assert gateway.call("GET", f"{BASE_PATH}/embedding-jobs/{job_id}").json["status"] == "cancelled"
    deleted = gateway.call("DELETE", crm)
    assert (deleted.status, deleted.body) == (204, b"")
    for path in (crm, f"{crm}/specs", f"{crm}/embedding-status", f"{crm}/embedding-health"):
        assert gateway.call("GET", path).code == "catalog_not_found"
    assert [job["id"] for job in gateway.call("GET", f"{crm}/embedding-jobs").json["jobs"]] == [job_id]
    for path in (f"{crm}/reembed", f"{crm}/embedding-jobs/retry-failed"):
        assert gateway.call("POST", path).code == "catalog_not_found"
    assert upload(gateway, f"{crm}/specs/users", things(1)).code == "catalog_not_found"


def test_job_is_cancelled_retried_and_embedded_again(gateway: Gateway, crm: str, engine: Engine) -> None:
    job_id = upload(gateway, f"{crm}/specs/users", things(2)).json["job"]["id"]
    job = f"{BASE_PATH}/embedding-jobs/{job_id}"
    assert gateway.call("POST", f"{job}/retry").code == "job_is_open"
    assert gateway.call("POST", f"{job}/cancel").status == 202
    assert gateway.call("POST", f"{job}/cancel").code == "job_has_ended"
    retried = gateway.call("POST", f"{job}/retry")
    assert (retried.status, retried.json["created"]) == (202, True)
    engine.worker().handle()
    done = gateway.call("POST", f"{BASE_PATH}/embedding-jobs/{retried.json['job_id']}/retry")
    assert (done.status, done.code) == (409, "job_has_succeeded")
    again = gateway.call("POST", f"{crm}/specs/users/reembed")
    assert (again.status, again.json["status"], again.json["created"]) == (202, "queued", True)
    assert gateway.call("POST", f"{crm}/specs/users/reembed").json["created"] is False
    assert len(gateway.call("POST", f"{crm}/reembed").json["jobs"]) == 1
    listed = gateway.call("GET", f"{crm}/embedding-jobs?limit=2").json
    assert [row["id"] for row in listed["jobs"]] == sorted((row["id"] for row in listed["jobs"]), reverse=True)
    rest = gateway.call("GET", f"{crm}/embedding-jobs?limit=2&cursor={listed['next']}").json
    assert [row["id"] for row in rest["jobs"]] == [job_id]
    assert gateway.call("GET", f"{BASE_PATH}/embedding-jobs/999999").code == "job_not_found"


def test_failed_jobs_are_tried_again_together(gateway: Gateway, crm: str, engine: Engine) -> None:
    for name in ("users", "orders"):
        upload(gateway, f"{crm}/specs/{name}", things(2, name))
    engine.sql(
        "UPDATE jobs SET status = 'failed', last_error = 'It broke.', completed_at = now() WHERE spec_name = 'users'"
    )
    failed = gateway.call("GET", f"{crm}/embedding-jobs?status=failed").json["jobs"]
    assert [job["spec_name"] for job in failed] == ["users"]
    assert len(gateway.call("POST", f"{crm}/embedding-jobs/retry-failed").json["jobs"]) == 1
    assert gateway.call("POST", f"{crm}/embedding-jobs/retry-failed").json["jobs"] == []


def test_provider_status_learns_the_dimension_with_the_first_vector(gateway: Gateway, crm: str, engine: Engine) -> None:
    path = f"{BASE_PATH}/embedding/status"
    assert gateway.call("GET", path).json == {
        "kind": "scripted", "model": "hash-8", "dimension": None, "status": "ok", "workers": 1, "paused": False,
    }  # fmt: skip
    upload(gateway, f"{crm}/specs/users", things(1))
    engine.worker().handle()
    assert gateway.call("GET", path).json["dimension"] == 8


def test_key_works_until_it_is_deleted(gateway: Gateway) -> None:
    made = gateway.call("POST", f"{BASE_PATH}/keys", {"name": "CI", "role": "editor"})
    assert made.status == 201
    key, key_id = made.json["key"], made.json["id"]
    listed = gateway.call("GET", f"{BASE_PATH}/keys")
    assert key_id in [row["id"] for row in listed.json["keys"]]
    assert key not in listed.body.decode()
    assert gateway.call("GET", f"{BASE_PATH}/api-catalogs", key=key).status == 200
    assert gateway.call("GET", f"{BASE_PATH}/keys", key=key).code == "forbidden"
    assert gateway.call("DELETE", f"{BASE_PATH}/keys/{key_id}").status == 204
    assert gateway.call("GET", f"{BASE_PATH}/api-catalogs", key=key).code == "unauthenticated"
    assert gateway.call("DELETE", f"{BASE_PATH}/keys/{key_id}").code == "key_not_found"


def test_key_is_refused_once_it_has_expired(gateway: Gateway, engine: Engine) -> None:
    draft = {"name": "guest", "role": "reader", "expires_at": "2999-01-01T00:00:00+02:00"}
    made = gateway.call("POST", f"{BASE_PATH}/keys", draft).json
    assert made["expires_at"] == "2998-12-31T22:00:00Z"
    assert gateway.call("GET", f"{BASE_PATH}/api-catalogs", key=made["key"]).status == 200
    engine.sql("UPDATE keys SET expires_at = now() WHERE id = %s", made["id"])
    assert gateway.call("GET", f"{BASE_PATH}/api-catalogs", key=made["key"]).status == 401


def test_timestamps_are_utc_whatever_the_time_zone_of_the_database(
    gateway: Gateway, crm: str, engine: Engine, database_url: str
) -> None:
    upload(gateway, f"{crm}/specs/users", things(2))
    engine.sql(f"ALTER DATABASE {urlsplit(database_url).path[1:]} SET timezone = 'Asia/Kolkata'")
    engine.database.close()
    assert engine.sql("SHOW timezone") == [{"TimeZone": "Asia/Kolkata"}]
    engine.worker().handle()
    draft = {"name": "guest", "role": "reader", "expires_at": "2999-01-01T00:00:00+05:30"}
    assert gateway.call("POST", f"{BASE_PATH}/keys", draft).status == 201
    upload(gateway, f"{crm}/specs/orders", things(2))
    job_id = gateway.call("GET", f"{crm}/embedding-jobs").json["jobs"][-1]["id"]
    paths = (
        crm, f"{BASE_PATH}/api-catalogs", f"{crm}/specs", f"{crm}/specs/users", f"{crm}/embedding-status",
        f"{crm}/embedding-jobs", f"{BASE_PATH}/embedding-jobs/{job_id}", f"{BASE_PATH}/keys",
    )  # fmt: skip
    for path in paths:
        moments = re.findall(r'"(?:\w+_)?at":"([^"]+)"', gateway.call("GET", path).body.decode())
        assert moments
        assert all(moment.endswith("Z") for moment in moments), (path, moments)


CJK = "\N{CJK UNIFIED IDEOGRAPH-4E2D}"  # three bytes in UTF-8


def test_search_answer_of_wide_characters_is_cut_to_what_fits(gateway: Gateway, crm: str) -> None:
    paths = {f"/x{n}": {"get": {"summary": "thing", "description": CJK * 7_000}} for n in range(400)}
    wide = json.dumps({"openapi": "3.0.3", "info": {"title": "Wide", "version": "1"}, "paths": paths}).encode()
    headers = {"Content-Type": "application/gzip"}
    assert gateway.call("PUT", f"{crm}/specs/wide/upload", gzip.compress(wide), headers=headers).status == 201
    answer = gateway.call("GET", f"{BASE_PATH}/search?q=thing&ranking=lexical&limit=400")
    assert answer.status == 200
    assert 100 < len(answer.json["operations"]) < 400
    assert answer.json["next"]


def test_catalogs_that_do_not_fit_into_one_answer_go_on_at_next(gateway: Gateway, engine: Engine) -> None:
    engine.sql(
        "INSERT INTO catalogs (id, name, version, description) "
        "SELECT 'c' || n, 'c' || n, '1', repeat(%s, 10000) FROM generate_series(1, 300) n",
        CJK,
    )
    first = gateway.call("GET", f"{BASE_PATH}/api-catalogs?limit=500").json
    rest = gateway.call("GET", f"{BASE_PATH}/api-catalogs?limit=500&cursor={first['next']}").json
    assert "next" not in rest
    seen = [catalog["id"] for page in (first, rest) for catalog in page["catalogs"]]
    assert len(seen) == len(set(seen)) == 300


def test_list_of_specs_fits_into_one_answer_whatever_is_wrong_with_them(gateway: Gateway, crm: str) -> None:
    paths: dict[str, object] = {}
    for n in range(40):
        odd = {"summary": "s", "q" * 60: 1, "responses": {"z" * 60: {}}}
        paths[f"/{n}" + "{a}" + "/x" * 900] = {"get": odd, "k" * 60: 1}
    bad = json.dumps({"openapi": "3.0.3", "info": {"title": "Bad", "version": "1"}, "paths": paths})
    for n in range(40):
        put = gateway.call("PUT", f"{crm}/specs/s{n}", {"source_kind": "inline", "content": bad})
        assert put.status == 201
        assert len(put.body) < 100_000
    listed = gateway.call("GET", f"{crm}/specs").json
    assert len(listed["specs"]) == 40
    assert "next" not in listed
    spec = gateway.call("GET", f"{crm}/specs/s0").json
    assert spec["warning_count"] == len(spec["warnings"]) > len(listed["specs"][0]["warnings"]) == 3


def test_webhooks_are_listed_with_their_spec_and_not_as_operations(gateway: Gateway, crm: str) -> None:
    webhooks = {"pet.added": {"post": {"operationId": "petAdded", "summary": "A pet was added"}}}
    content = json.dumps({"openapi": "3.2.0", "info": {"title": "Pets", "version": "1"}, "webhooks": webhooks})
    put = gateway.call("PUT", f"{crm}/specs/pets", {"source_kind": "inline", "content": content})
    assert (put.status, put.json["operation_count"], put.json["webhook_count"]) == (201, 0, 1)
    spec = gateway.call("GET", f"{crm}/specs/pets").json
    assert spec["webhooks"] == put.json["webhooks"]
    assert spec["webhooks"] == [
        {"name": "pet.added", "method": "POST", "operation_id": "petAdded", "summary": "A pet was added",
         "deprecated": False}
    ]  # fmt: skip
    (listed,) = gateway.call("GET", f"{crm}/specs").json["specs"]
    assert (listed["webhooks"], listed["webhook_count"]) == ([], 1)


def test_same_document_is_a_new_revision_when_more_of_it_is_read(gateway: Gateway, crm: str, engine: Engine) -> None:
    content = json.dumps({"openapi": "3.2.0", "info": {"title": "Pets"}, "webhooks": {"added": {"post": {}}}})
    draft = {"source_kind": "inline", "content": content}
    assert gateway.call("PUT", f"{crm}/specs/pets", draft).json["revision"] == 1
    assert gateway.call("PUT", f"{crm}/specs/pets", draft).json["revision"] == 1
    engine.sql("UPDATE revisions SET webhooks = '[]'")  # as the release before stored it
    again = gateway.call("PUT", f"{crm}/specs/pets", draft).json
    assert (again["revision"], again["webhook_count"], again["job"]) == (2, 1, None)


def test_stored_key_is_a_hash_alone(gateway: Gateway, engine: Engine) -> None:
    key = gateway.call("POST", f"{BASE_PATH}/keys", {"name": "CI", "role": "reader"}).json["key"]
    rows = json.dumps(engine.sql("SELECT * FROM keys"), default=str)
    assert key not in rows
    assert key.removeprefix("opdex_") not in rows


@pytest.fixture
def killed(engine: Engine) -> Iterator[Callable[[], None]]:
    """Ends the API's database connection from the server's side, as a failover does."""
    other = engine.database.connect()

    def kill() -> None:
        other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")

    yield kill
    other.close()


def test_request_after_a_lost_connection_is_answered(gateway: Gateway, crm: str, killed: Callable[[], None]) -> None:
    killed()
    statuses = [gateway.call("GET", crm).status for _ in range(2)]
    assert statuses[-1] == 200
    assert statuses[0] in (200, 503)
