"""Every change made over the API leaves an entry in the audit, in the same transaction."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from opdex.http import audit_store
from opdex.http.context import ApiContext
from opdex.http.keys_store import create_key
from opdex.http.routing import BASE_PATH
from opdex.settings import ApiSettings
from tests.document_server import DocumentServer
from tests.gateway import Answer, Gateway, whole_service
from tests.integration.engine import Engine, document, things

CATALOGS = f"{BASE_PATH}/api-catalogs"


class Stage:
    """The API as an admin called "boss" uses it, and what a change needs to be there."""

    def __init__(self, engine: Engine, server: DocumentServer) -> None:
        settings = ApiSettings(database_url=engine.settings.database_url, embed_queue_url="unused", fetch_loopback=True)
        api = whole_service(ApiContext(settings, engine.database, engine.wake_ups, lambda: engine.embedder))
        self.engine = engine
        self.server = server
        self.key = engine.transact(lambda c: create_key(c, "boss", "admin", None))
        self.gateway = Gateway(api, key=self.key.key)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        answer = self.gateway.call(method, path, body, headers=headers)
        assert answer.status < 300, answer.body
        return answer

    def crm(self) -> str:
        self.call("POST", CATALOGS, {"id": "crm", "name": "CRM", "version": "1"})
        return f"{CATALOGS}/crm"

    def users(self) -> str:
        users = f"{self.crm()}/specs/users"
        self.upload(users, things(3))
        return users

    def linked(self) -> str:
        users = f"{self.crm()}/specs/users"
        url = self.server.serve("/users.json", document(things(3)))
        self.call("PUT", users, {"source_kind": "url", "source_url": url})
        return users

    def upload(self, spec: str, summaries: list[str]) -> Answer:
        return self.call("PUT", f"{spec}/upload", document(summaries), content_type="application/json")

    def job(self) -> str:
        self.users()
        (job,) = self.engine.sql("SELECT id FROM jobs")
        return f"{BASE_PATH}/embedding-jobs/{job['id']}"

    def cancelled_job(self) -> str:
        job = self.job()
        self.call("POST", f"{job}/cancel")
        return job

    def failed_job(self) -> str:
        self.job()
        self.engine.sql("UPDATE jobs SET status = 'failed', completed_at = now()")
        return f"{CATALOGS}/crm"

    def other_key(self) -> str:
        made = self.call("POST", f"{BASE_PATH}/keys", {"name": "bot", "role": "reader"}).json
        return f"{BASE_PATH}/keys/{made['id']}"

    def changed_source(self) -> str:
        users = self.linked()
        self.server.serve("/users.json", document(things(4)))
        return users

    def entries(self) -> list[dict[str, Any]]:
        return list(self.call("GET", f"{BASE_PATH}/audit").json["entries"])


INLINE = {"source_kind": "inline", "content": document(things(2)).decode()}
OTHER = {"id": "crm-2", "name": "CRM", "version": "2"}

# For each route that changes something: what must be there, and the request. A route without a line here fails.
CHANGES: dict[str, tuple[Callable[[Stage], str | None], str, str, Any]] = {
    "create_catalog": (lambda stage: CATALOGS, "POST", "", {"id": "crm", "name": "CRM", "version": "1"}),
    "update_catalog": (Stage.crm, "PUT", "", {"description": "Customers."}),
    "delete_catalog": (Stage.crm, "DELETE", "", None),
    "clone_catalog": (Stage.crm, "POST", "/clone", OTHER),
    "put_spec": (Stage.crm, "PUT", "/specs/users", INLINE),
    "upload_spec": (Stage.crm, "PUT", "/specs/users/upload", document(things(2))),
    "delete_spec": (Stage.users, "DELETE", "", None),
    "refresh_spec": (Stage.changed_source, "POST", "/refresh", None),
    "schedule_refresh": (Stage.linked, "PUT", "/refresh-schedule", {"every_hours": 24}),
    "reembed_spec": (Stage.users, "POST", "/reembed", None),
    "reembed_catalog": (Stage.failed_job, "POST", "/reembed", None),
    "cancel_embedding_job": (Stage.job, "POST", "/cancel", None),
    "retry_embedding_job": (Stage.cancelled_job, "POST", "/retry", None),
    "retry_failed_embedding_jobs": (Stage.failed_job, "POST", "/embedding-jobs/retry-failed", None),
    "create_key": (lambda stage: f"{BASE_PATH}/keys", "POST", "", {"name": "bot", "role": "editor"}),
    "delete_key": (Stage.other_key, "DELETE", "", None),
}

CREATING = {"create_catalog", "clone_catalog", "create_key", "put_spec", "upload_spec"}


@pytest.fixture
def stage(engine: Engine) -> Iterator[Stage]:
    with DocumentServer() as server:
        yield Stage(engine, server)


def changing_routes(gateway: Gateway) -> dict[str, tuple[str, str]]:
    """The routes that are not for readers, nor GET, by operation id: method and path."""
    paths = gateway.call("GET", "/openapi.json").json["paths"]
    return {
        operation["operationId"]: (method.upper(), path)
        for path, operations in paths.items()
        for method, operation in operations.items()
        if method != "get" and operation.get("x-required-role") != "reader"
    }


def test_each_changing_route_is_tried_below(stage: Stage) -> None:
    assert changing_routes(stage.gateway).keys() == CHANGES.keys()


@pytest.mark.parametrize("operation", CHANGES)
def test_change_leaves_one_entry_that_tells_who_what_and_how(stage: Stage, operation: str) -> None:
    prepare, method, rest, body = CHANGES[operation]
    path = f"{prepare(stage)}{rest}"
    earlier = stage.entries()
    answer = stage.call(method, path, body, content_type="application/json")
    (entry, *others) = stage.entries()
    assert others == earlier
    assert entry["who"] == {"kind": "key", "id": stage.key.id, "name": "boss", "role": "admin", "gateway": None}
    assert (entry["what"], entry["path"]) == (operation, path)
    assert entry["request_id"] == answer.headers["x-request-id"]
    assert entry["before"] != entry["after"]
    assert (entry["before"] is None) == (operation in CREATING)
    assert (entry["after"] is None) == operation.startswith("delete_")


def test_states_before_and_after_say_what_became_of_a_spec(stage: Stage) -> None:
    users = stage.users()
    stage.upload(users, [*things(3), "one more"])
    entry = stage.entries()[0]
    assert entry["subject"] == "spec crm/users"
    before, after = entry["before"], entry["after"]
    assert (before["revision"], before["operation_count"]) == (1, 3)
    assert (after["revision"], after["operation_count"]) == (2, 4)
    assert after["content_sha256"] != before["content_sha256"]
    assert after["job"]["status"] == "pending"


def test_change_and_entry_are_one_transaction(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(audit_store, "record", broken)
    answer = stage.gateway.call("POST", CATALOGS, {"id": "crm", "name": "CRM", "version": "1"})
    assert (answer.status, answer.code) == (500, "internal_error")
    assert stage.engine.sql("SELECT FROM catalogs") == []


def test_nothing_is_written_when_nothing_was_changed(stage: Stage) -> None:
    users = stage.users()
    earlier = stage.entries()
    for method, path, body in (
        ("GET", users, None),
        ("POST", CATALOGS, {"id": "crm", "name": "Other", "version": "1"}),
        ("DELETE", f"{CATALOGS}/other", None),
        ("PUT", f"{CATALOGS}/other/specs/users", INLINE),
        ("PUT", f"{users}/refresh-schedule", {"every_hours": 1}),
        ("PUT", f"{CATALOGS}/crm/specs/links", {"source_kind": "url", "source_url": f"{stage.server.url}/none"}),
        ("DELETE", f"{BASE_PATH}/keys/first-admin", None),
    ):
        stage.gateway.call(method, path, body)
    assert stage.entries() == earlier


def test_refresh_that_brings_nothing_is_one_entry_all_the_same(stage: Stage) -> None:
    users = stage.linked()
    earlier = stage.entries()
    stage.call("POST", f"{users}/refresh")
    (entry, *others) = stage.entries()
    assert others == earlier
    assert entry["what"] == "refresh_spec"
    assert entry["before"] == entry["after"]
    stage.server.serve("/users.json", b"{}")
    assert stage.gateway.call("POST", f"{users}/refresh").status == 422
    assert [entry["what"] for entry in stage.entries()[:3]] == ["refresh_spec", "refresh_spec", "put_spec"]


def test_no_secret_is_in_the_audit(stage: Stage) -> None:
    users = f"{stage.crm()}/specs/users"
    url = stage.server.serve("/users.json?token=hidden", document(things(1)))
    stage.call("PUT", users, {"source_kind": "url", "source_url": url})
    made = stage.call("POST", f"{BASE_PATH}/keys", {"name": "bot", "role": "reader"}).json["key"]
    rows = json.dumps(stage.engine.sql("SELECT * FROM audit"), default=str, ensure_ascii=False)
    assert "users.json?…" in rows
    for secret in ("hidden", made, made.removeprefix("opdex_"), stage.key.key, "key_sha256"):
        assert secret not in rows


def test_no_entry_is_large_however_much_is_sent(stage: Stage) -> None:
    much = "\U0001f600" * 10_000
    stage.call("POST", CATALOGS, {"id": "c" * 100, "name": much[:200], "version": much[:50], "description": much})
    text = document(things(2)).decode().replace('"title": "Things"', f'"title": "{much}"')
    spec = f"{CATALOGS}/{'c' * 100}/specs/{'s' * 64}"
    stage.call("PUT", spec, {"source_kind": "inline", "content": text, "base_path": "/" + "b" * 499})
    stage.call("DELETE", f"{CATALOGS}/{'c' * 100}")
    sizes = stage.engine.sql("SELECT octet_length(audit::text) AS octets FROM audit")
    assert len(sizes) == 3
    assert max(row["octets"] for row in sizes) < 16_384


def test_entries_are_listed_page_by_page_newest_first(stage: Stage) -> None:
    for number in range(5):
        stage.call("POST", CATALOGS, {"id": f"c{number}", "name": f"c{number}", "version": "1"})
    seen: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = stage.call("GET", f"{BASE_PATH}/audit?limit=2{cursor}").json
        seen += page["entries"]
        if "next" not in page:
            break
        cursor = f"&cursor={page['next']}"
    assert [entry["subject"] for entry in seen] == [f"catalog c{number}" for number in (4, 3, 2, 1, 0)]
    assert seen == stage.entries()


def test_old_entries_go_with_retention_and_no_others(stage: Stage) -> None:
    for number in range(4):
        stage.call("POST", CATALOGS, {"id": f"c{number}", "name": f"c{number}", "version": "1"})
    stage.engine.sql("UPDATE audit SET at = now() - interval '31 days' WHERE subject IN ('catalog c0', 'catalog c1')")
    assert audit_store.forget_entries(stage.engine.database, days=30, seconds=10) == 2
    assert [entry["subject"] for entry in stage.entries()] == ["catalog c3", "catalog c2"]
    assert audit_store.forget_entries(stage.engine.database, days=30, seconds=10) == 0


def test_many_old_entries_go_batch_by_batch(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_store, "_BATCH", 2)
    for number in range(5):
        stage.call("POST", CATALOGS, {"id": f"c{number}", "name": f"c{number}", "version": "1"})
    stage.engine.sql("UPDATE audit SET at = now() - interval '31 days'")
    assert audit_store.forget_entries(stage.engine.database, days=30, seconds=10) == 5


def test_changes_of_one_subject_take_turns(stage: Stage) -> None:
    users = stage.users()
    subject = audit_store.Subject.spec("crm", "users")
    with stage.engine.database.connect() as other, other.transaction():
        audit_store.hold(other, subject)
        waiting = stage.engine.database.connect()
        with waiting, waiting.transaction():
            waiting.execute("SET LOCAL lock_timeout = '1ms'")
            with pytest.raises(Exception, match="lock timeout"):
                audit_store.hold(waiting, subject)
        assert stage.call("GET", users).status == 200
