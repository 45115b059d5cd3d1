"""Specs that come from a URL, over HTTP and by the sweep; their documents are served on this machine."""

import gzip
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from functions.sweep import handler as sweep_function
from opdex.catalog.refresh import Refreshed, refresh_due
from opdex.catalog.sources import Sources
from opdex.fetching import Fetched, Fetcher
from opdex.http.routing import BASE_PATH
from opdex.openapi.reader import DocumentReader
from opdex.settings import DocumentSettings, FetchSettings
from tests.document_server import DocumentServer, Exchange
from tests.gateway import Answer, Gateway, LambdaContext
from tests.integration.conftest import MakeGateway
from tests.integration.engine import Engine, document, things
from tests.zips import packed

GOOD = document(things(3))
CHANGED = document([*things(2), "another thing", "one more"])
_MINUTE = 60


@pytest.fixture
def gateway(make_gateway: MakeGateway) -> Gateway:
    """The API, which may fetch from this machine."""
    return make_gateway(fetch_loopback=True, fetch_seconds=5)


@pytest.fixture
def server() -> Iterator[DocumentServer]:
    with DocumentServer() as server:
        yield server


@pytest.fixture
def users(crm: str) -> str:
    """The address of a spec that is not there yet."""
    return f"{crm}/specs/users"


def put(gateway: Gateway, spec: str, url: str, **fields: Any) -> Answer:
    return gateway.call("PUT", spec, {"source_kind": "url", "source_url": url, **fields})


def test_document_is_fetched_stored_and_found_when_its_url_is_put(
    gateway: Gateway, users: str, server: DocumentServer, engine: Engine
) -> None:
    answer = put(gateway, users, server.publish("/things.json", GOOD, etag='"1"'))
    assert answer.status == 201
    assert (answer.json["source_kind"], answer.json["source_url"]) == ("url", f"{server.url}/things.json")
    assert answer.json["changes"] == {"added": 3, "changed": 0, "removed": 0, "unchanged": 0}
    assert answer.json["last_fetch_error"] is None
    assert engine.wake_ups.of_kind("ready")[0] == (answer.json["job"]["id"], 0)
    engine.worker().handle()
    found = gateway.call("GET", f"{BASE_PATH}/search?q=thing+number+2&ranking=semantic").json["operations"]
    assert len(found) == 3
    again = put(gateway, users, f"{server.url}/things.json")
    assert (again.status, again.json["revision"], again.json["changes"]["unchanged"]) == (200, 1, 3)


MANY = {
    "openapi.yaml": "openapi: 3.1.0\ninfo: {title: Users, version: '1'}\npaths: {/users: {$ref: users.yaml}}\n",
    "users.yaml": "get: {summary: List the users}\n",
}


def test_files_of_an_archive_are_one_document_when_its_url_is_put_and_refreshed(
    gateway: Gateway, users: str, server: DocumentServer
) -> None:
    answer = put(gateway, users, server.publish("/users.zip", packed(MANY)))
    assert (answer.status, answer.json["operation_count"], answer.json["warnings"]) == (201, 1, [])
    more = {**MANY, "users.yaml": MANY["users.yaml"] + "post: {summary: Invite a user}\n"}
    server.publish("/users.zip", packed(more))
    answer = gateway.call("POST", f"{users}/refresh")
    assert (answer.status, answer.json["changes"]["added"]) == (200, 1)


@pytest.mark.parametrize(
    ("files", "settings", "code"),
    [
        ({**MANY, "other.yaml": MANY["openapi.yaml"]}, {}, "archive_unusable"),
        (MANY, {"max_archive_files": 1}, "document_too_complex"),
        (MANY, {"max_document_bytes": 130}, "too_large"),
    ],
)
def test_archive_at_a_url_is_refused_when_an_uploaded_one_would_be(
    make_gateway: MakeGateway, crm: str, server: DocumentServer, files: dict[str, str], settings: Any, code: str
) -> None:
    gateway = make_gateway(fetch_loopback=True, **settings)
    answer = put(gateway, f"{crm}/specs/users", server.publish("/users.zip", packed(files)))
    assert answer.code == code


def test_document_is_fetched_when_it_is_served_over_tls_and_packed(
    gateway: Gateway, users: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    with DocumentServer(tls) as server:
        # A file that is gzip'd itself, and packed once more on its way.
        url = server.serve("/things.json.gz", gzip.compress(gzip.compress(GOOD)), Content_Encoding="gzip")
        answer = put(gateway, users, url)
    assert (answer.status, answer.json["operation_count"], answer.json["bytes"]) == (201, 3, len(GOOD))


def test_nothing_is_read_or_stored_when_a_refresh_finds_the_document_unchanged(
    gateway: Gateway, users: str, server: DocumentServer, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server.publish("/x", GOOD, etag='"1"', last_modified="Tue, 24 Nov 2026 12:00:00 GMT")
    before = put(gateway, users, url).json
    engine.worker().handle()
    engine.wake_ups.sent.clear()
    monkeypatch.setattr("opdex.openapi.reader.describe", None)
    answer = gateway.call("POST", f"{users}/refresh")
    assert (answer.status, answer.json["revision"]) == (200, 1)
    assert answer.json["changes"] == {"added": 0, "changed": 0, "removed": 0, "unchanged": 3}
    assert answer.json["last_fetched_at"] > before["last_fetched_at"]
    assert answer.json["updated_at"] == before["updated_at"]
    _, headers = server.requests[-1]
    assert headers["if-none-match"] == '"1"'
    assert headers["if-modified-since"] == "Tue, 24 Nov 2026 12:00:00 GMT"
    assert engine.wake_ups.sent == []


def test_spec_follows_its_url_when_it_is_refreshed(
    gateway: Gateway, users: str, server: DocumentServer, engine: Engine
) -> None:
    put(gateway, users, server.publish("/x", GOOD, etag='"1"'), base_path="/mine")
    engine.worker().handle()
    engine.wake_ups.sent.clear()
    server.publish("/x", CHANGED, etag='"2"')
    answer = gateway.call("POST", f"{users}/refresh")
    assert (answer.status, answer.json["revision"], answer.json["base_path"]) == (200, 2, "/mine")
    assert answer.json["changes"] == {"added": 1, "changed": 1, "removed": 0, "unchanged": 2}
    assert engine.wake_ups.of_kind("ready")[0] == (answer.json["job"]["id"], 0)
    gateway.call("POST", f"{users}/refresh")
    assert server.requests[-1][1]["if-none-match"] == '"2"'


@pytest.mark.parametrize(
    ("status", "body", "answered", "code"),
    [
        (200, b"<html>Log in</html>", 422, "not_openapi"),
        (200, b"", 422, "document_empty"),
        (200, b'{"openapi": "3.0.3", "paths": {', 422, "document_unreadable"),
        (200, b"\x1f\x8b, as it seems", 422, "document_unreadable"),
        (200, b'{"openapi": "9.9"}', 422, "unsupported_openapi_version"),
        (404, b"", 502, "source_failed"),
        (503, b"", 502, "source_failed"),
        (302, b"", 502, "source_failed"),
    ],
)
def test_good_document_stays_when_a_refresh_brings_none(
    gateway: Gateway, users: str, server: DocumentServer, status: int, body: bytes, answered: int, code: str
) -> None:
    url = server.publish("/x", GOOD, etag='"1"')
    put(gateway, users, url)
    server.serve("/x", body, status=status, ETag='"bad"')
    answer = gateway.call("POST", f"{users}/refresh")
    assert (answer.status, answer.code) == (answered, code)
    spec = gateway.call("GET", users).json
    assert (spec["revision"], spec["operation_count"]) == (1, 3)
    assert (spec["last_fetch_error_code"], spec["last_fetch_error"]) == (code, answer.json["error"]["message"])
    assert spec["last_fetch_failed_at"] > spec["last_fetched_at"]
    assert put(gateway, users, url).code == code

    server.publish("/x", GOOD, etag='"1"')
    healed = gateway.call("POST", f"{users}/refresh")
    assert server.requests[-1][1]["if-none-match"] == '"1"'
    assert (healed.status, healed.json["last_fetch_error"], healed.json["last_fetch_failed_at"]) == (200, None, None)


def test_operations_stay_when_a_refresh_brings_a_document_without_any(
    gateway: Gateway, users: str, server: DocumentServer
) -> None:
    url = server.publish("/x", GOOD)
    put(gateway, users, url)
    server.publish("/x", document([]))
    assert gateway.call("POST", f"{users}/refresh").code == "document_empty"
    spec = gateway.call("GET", users).json
    assert (spec["operation_count"], spec["last_fetch_error_code"]) == (3, "document_empty")
    assert put(gateway, users, url).json["operation_count"] == 0
    assert gateway.call("POST", f"{users}/refresh").status == 200


def test_document_is_refused_when_it_is_larger_than_the_limit(
    gateway: Gateway, users: str, server: DocumentServer
) -> None:
    put(gateway, users, server.publish("/x", GOOD))
    server.serve("/x", gzip.compress(bytes(70 * 1024 * 1024)), Content_Encoding="gzip")
    answer = gateway.call("POST", f"{users}/refresh")
    assert (answer.status, answer.code) == (413, "too_large")
    assert gateway.call("GET", users).json["last_fetch_error_code"] == "too_large"


@pytest.mark.parametrize(
    "url",
    [
        "https://169.254.169.254/latest/meta-data/",
        "https://10.0.0.1/",
        "https://2130706433/",
        "http://example.com/",
        "https://user@example.com/",
        "file:///etc/passwd",
        "not a URL",
    ],
)
def test_nothing_is_stored_when_the_url_is_refused(gateway: Gateway, users: str, url: str) -> None:
    answer = put(gateway, users, url)
    assert (answer.status, answer.code) == (400, "source_refused")
    assert gateway.call("GET", users).code == "spec_not_found"


def test_spec_stays_as_it_is_when_another_url_brings_no_document(
    gateway: Gateway, users: str, server: DocumentServer
) -> None:
    put(gateway, users, server.publish("/x", GOOD))
    before = gateway.call("GET", users).json
    assert put(gateway, users, f"{server.url}/nothing").code == "source_failed"
    assert gateway.call("GET", users).json == before


def test_nothing_is_fetched_when_there_is_no_such_catalog(gateway: Gateway, crm: str, server: DocumentServer) -> None:
    missing = f"{BASE_PATH}/api-catalogs/other/specs/users"
    assert put(gateway, missing, server.publish("/x", GOOD)).code == "catalog_not_found"
    assert gateway.call("POST", f"{missing}/refresh").code == "catalog_not_found"
    assert gateway.call("PUT", f"{missing}/refresh-schedule", {"every_hours": 1}).code == "catalog_not_found"
    assert gateway.call("POST", f"{crm}/specs/users/refresh").code == "spec_not_found"
    assert gateway.call("PUT", f"{crm}/specs/users/refresh-schedule", {"every_hours": 1}).code == "spec_not_found"
    assert server.requests == []


@pytest.mark.parametrize("summaries", [things(3), things(4)])
@pytest.mark.parametrize("kind", ["upload", "inline"])
def test_url_and_schedule_are_gone_when_a_document_is_sent(
    gateway: Gateway, users: str, server: DocumentServer, kind: str, summaries: list[str]
) -> None:
    put(gateway, users, server.publish("/x", GOOD, etag='"1"'))
    assert gateway.call("PUT", f"{users}/refresh-schedule", {"every_hours": 24}).status == 200
    body = document(summaries)
    if kind == "upload":
        sent = gateway.call("PUT", f"{users}/upload", body, headers={"Content-Type": "application/json"})
    else:
        sent = gateway.call("PUT", users, {"source_kind": "inline", "content": body.decode()})
    assert (sent.status, sent.json["source_kind"], sent.json["source_url"]) == (200, kind, None)
    assert (sent.json["refresh_every_hours"], sent.json["next_refresh_at"]) == (0, None)
    for method, path, more in (("POST", "refresh", None), ("PUT", "refresh-schedule", {"every_hours": 1})):
        answer = gateway.call(method, f"{users}/{path}", more)
        assert (answer.status, answer.code) == (400, "not_url_sourced")


def test_schedule_stays_when_another_url_is_put(gateway: Gateway, users: str, server: DocumentServer) -> None:
    put(gateway, users, server.publish("/x", GOOD))
    scheduled = gateway.call("PUT", f"{users}/refresh-schedule", {"every_hours": 720}).json
    assert scheduled["refresh_every_hours"] == 720
    assert scheduled["next_refresh_at"] > scheduled["last_fetched_at"]
    moved = put(gateway, users, server.publish("/y", CHANGED))
    assert (moved.json["source_url"], moved.json["refresh_every_hours"]) == (f"{server.url}/y", 720)
    off = gateway.call("PUT", f"{users}/refresh-schedule", {"every_hours": 0}).json
    assert (off["refresh_every_hours"], off["next_refresh_at"]) == (0, None)


@pytest.mark.parametrize("hours", [-1, 721, 1.5, "1", True, None, 10**30])
def test_schedule_is_malformed_when_it_is_no_number_of_hours(gateway: Gateway, users: str, hours: Any) -> None:
    answer = gateway.call("PUT", f"{users}/refresh-schedule", {"every_hours": hours})
    assert (answer.status, answer.code) == (400, "malformed_request")


def test_upload_wins_when_it_comes_while_a_refresh_is_under_way(
    gateway: Gateway, users: str, server: DocumentServer, database_url: str
) -> None:
    put(gateway, users, server.publish("/x", GOOD))
    other = Engine(database_url)

    def reply(exchange: Exchange) -> None:
        other.upload("users", ["sent meanwhile"], "crm")
        exchange.reply(200, CHANGED)

    server.answer("/x", reply)
    answer = gateway.call("POST", f"{users}/refresh")
    other.close()
    assert (answer.status, answer.code) == (409, "source_changed")
    assert gateway.call("GET", users).json["operation_count"] == 1


def test_deleted_spec_stays_deleted_when_a_refresh_was_under_way(
    gateway: Gateway, users: str, server: DocumentServer, database_url: str
) -> None:
    put(gateway, users, server.publish("/x", GOOD))
    other = Engine(database_url)

    def reply(exchange: Exchange) -> None:
        other.sql("DELETE FROM specs")
        exchange.reply(200, CHANGED)

    server.answer("/x", reply)
    assert gateway.call("POST", f"{users}/refresh").code == "spec_not_found"
    other.close()
    assert gateway.call("GET", users).code == "spec_not_found"


# By the sweep.


def scheduled(gateway: Gateway, spec: str, url: str, every_hours: int = 6) -> None:
    assert put(gateway, spec, url).status == 201
    assert gateway.call("PUT", f"{spec}/refresh-schedule", {"every_hours": every_hours}).status == 200


def make_due(engine: Engine) -> None:
    engine.sql("UPDATE specs SET next_fetch_at = now() - interval '1 hour' * refresh_hours WHERE refresh_hours > 0")


def sources(engine: Engine) -> Sources:
    fetcher = Fetcher(FetchSettings(fetch_loopback=True, fetch_seconds=5), 1_000_000)
    return Sources(engine.database, fetcher, DocumentReader(DocumentSettings()), engine.embedder.identity)


def sweep(engine: Engine, seconds: float = 60.0) -> Refreshed:
    return refresh_due(sources(engine), engine.wake_ups, seconds=seconds)


def minutes_to_next(engine: Engine) -> int:
    (row,) = engine.sql("SELECT extract(epoch FROM next_fetch_at - now())::float AS seconds FROM specs")
    seconds: float = row["seconds"]
    return round(seconds / _MINUTE)


def test_due_specs_are_refreshed_when_the_sweep_passes(
    gateway: Gateway, crm: str, server: DocumentServer, engine: Engine
) -> None:
    scheduled(gateway, f"{crm}/specs/changed", server.publish("/changed", GOOD, etag='"1"'))
    scheduled(gateway, f"{crm}/specs/same", server.publish("/same", GOOD, etag='"1"'))
    put(gateway, f"{crm}/specs/unscheduled", server.publish("/unscheduled", GOOD))
    engine.worker().handle()
    assert sweep(engine) == Refreshed()

    make_due(engine)
    server.publish("/changed", CHANGED, etag='"2"')
    engine.wake_ups.sent.clear()
    server.requests.clear()
    assert sweep(engine) == Refreshed(refreshed=2)
    assert {path for path, _ in server.requests} == {"/changed", "/same"}
    spec = gateway.call("GET", f"{crm}/specs/changed").json
    assert (spec["revision"], spec["operation_count"]) == (2, 4)
    assert engine.wake_ups.of_kind("ready") == [(spec["job"]["id"], 0)]
    assert gateway.call("GET", f"{crm}/specs/same").json["revision"] == 1
    assert sweep(engine) == Refreshed()


def test_refresh_backs_off_when_it_fails_again_and_again(
    gateway: Gateway, users: str, server: DocumentServer, engine: Engine
) -> None:
    scheduled(gateway, users, server.publish("/x", GOOD), every_hours=720)
    server.serve("/x", status=500)
    waits = []
    for _ in range(10):
        make_due(engine)
        assert sweep(engine) == Refreshed(refreshes_failed=1)
        waits.append(minutes_to_next(engine))
    assert waits == [10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440]
    spec = gateway.call("GET", users).json
    assert (spec["last_fetch_error_code"], spec["operation_count"]) == ("source_failed", 3)

    server.publish("/x", GOOD)
    make_due(engine)
    assert sweep(engine) == Refreshed(refreshed=1)
    assert minutes_to_next(engine) == 720 * 60
    assert gateway.call("GET", users).json["last_fetch_error"] is None


def test_refresh_is_not_tried_at_once_when_its_sweep_died_over_it(
    gateway: Gateway, users: str, server: DocumentServer, engine: Engine
) -> None:
    scheduled(gateway, users, server.publish("/x", GOOD))
    make_due(engine)
    assert sources(engine).begin_due([]) is not None  # and is never heard of again
    assert sources(engine).begin_due([]) is None
    assert minutes_to_next(engine) == 10


def test_rest_of_a_slow_host_waits_when_others_are_due(
    gateway: Gateway, crm: str, server: DocumentServer, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server.publish("/x", GOOD)
    for name, hours in (("first", 6), ("second", 5), ("third", 4)):
        scheduled(gateway, f"{crm}/specs/{name}", url, hours)
    scheduled(gateway, f"{crm}/specs/elsewhere", url.replace("127.0.0.1", "localhost"), 3)
    make_due(engine)
    server.requests.clear()
    monkeypatch.setattr("opdex.catalog.refresh._SLOW_SECONDS", -1.0)  # each is
    assert sweep(engine) == Refreshed(refreshed=2)
    assert [headers["host"] for _, headers in server.requests] == [
        f"127.0.0.1:{server.port}",
        f"localhost:{server.port}",
    ]
    monkeypatch.undo()
    assert sweep(engine) == Refreshed(refreshed=2)


def test_pass_ends_when_its_time_or_number_is_up(
    gateway: Gateway, crm: str, server: DocumentServer, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("first", "second", "third"):
        scheduled(gateway, f"{crm}/specs/{name}", server.publish("/x", GOOD))
    make_due(engine)
    assert sweep(engine, seconds=0) == Refreshed()
    monkeypatch.setattr("opdex.catalog.refresh.MOST_A_PASS", 2)
    assert sweep(engine) == Refreshed(refreshed=2)
    assert sweep(engine) == Refreshed(refreshed=1)


def test_pass_goes_on_when_a_spec_was_replaced_under_it(
    gateway: Gateway, crm: str, server: DocumentServer, engine: Engine, database_url: str
) -> None:
    scheduled(gateway, f"{crm}/specs/users", server.publish("/x", GOOD), 6)
    scheduled(gateway, f"{crm}/specs/orders", server.publish("/y", GOOD), 5)
    other = Engine(database_url)

    def reply(exchange: Exchange) -> None:
        other.upload("users", ["sent meanwhile"], "crm")
        exchange.reply(200, CHANGED)

    server.answer("/x", reply)
    make_due(engine)
    assert sweep(engine) == Refreshed(refreshed=1, refreshes_failed=1)
    other.close()
    spec = gateway.call("GET", f"{crm}/specs/users").json
    assert (spec["operation_count"], spec["last_fetch_error"]) == (1, None)


def test_pass_goes_on_when_a_spec_breaks_it(
    gateway: Gateway, crm: str, server: DocumentServer, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduled(gateway, f"{crm}/specs/breaks", server.publish("/breaks", GOOD), 6)
    scheduled(gateway, f"{crm}/specs/orders", server.publish("/orders", GOOD), 5)
    make_due(engine)
    fetch = Fetcher.fetch

    def fetch_or_break(self: Fetcher, source_url: str, **validators: Any) -> Fetched | None:
        if source_url.endswith("/breaks"):
            raise TypeError("what nobody thought of")
        return fetch(self, source_url, **validators)

    monkeypatch.setattr(Fetcher, "fetch", fetch_or_break)
    assert sweep(engine) == Refreshed(refreshed=1, refreshes_failed=1)
    assert sweep(engine) == Refreshed()  # it waits for its backoff


class _SweepContext(LambdaContext):
    function_name = "sweep"

    def get_remaining_time_in_millis(self) -> int:
        return 120_000


def test_sweep_function_repairs_and_then_refreshes_when_a_server_is_silent(
    gateway: Gateway, crm: str, server: DocumentServer, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduled(gateway, f"{crm}/specs/silent", server.publish("/silent", GOOD), 6)
    scheduled(gateway, f"{crm}/specs/good", server.publish("/good", GOOD), 5)
    engine.sql("DELETE FROM jobs")  # what the sweep has to make good
    make_due(engine)
    server.answer("/silent", lambda _: _be_silent(server))
    assert engine.settings.database_url is not None
    for name, value in {
        "DATABASE_URL": engine.settings.database_url.get_secret_value(),
        "EMBED_QUEUE_URL": "https://queue.test",
        "EMBEDDING_PROVIDER": "ollama",
        "EMBEDDING_URL": "http://127.0.0.1:1",
        "WORKERS": "0",
        "FETCH_LOOPBACK": "true",
        "FETCH_SECONDS": "0.2",
    }.items():
        monkeypatch.setenv(name, value)
    sweep_function._reach.cache_clear()

    swept = sweep_function.handler({}, _SweepContext())
    sweep_function._reach()[1].close()
    sweep_function._reach.cache_clear()

    assert (swept["gaps"], swept["refreshed"], swept["refreshes_failed"]) == (2, 1, 1)
    assert gateway.call("GET", f"{crm}/specs/silent").json["last_fetch_error_code"] == "source_timeout"
    assert gateway.call("GET", f"{crm}/specs/good").json["last_fetch_error_code"] is None


def _be_silent(server: DocumentServer) -> None:
    server.ending.wait(20)
