import base64
import json
from typing import Any

import pytest

from opdex.catalog.models import Catalog
from opdex.errors import ConfigurationError, DatabaseUnavailable
from opdex.http.context import ApiContext
from opdex.http.routing import BASE_PATH
from opdex.observability import correlation_id
from tests.gateway import Gateway, LambdaContext, PayloadRefusedError, proxy_event, whole_service
from tests.unit.http.fakes import NOW, FakeDatabase

CATALOGS = f"{BASE_PATH}/api-catalogs"
CRM = Catalog(
    id="crm",
    name="Kundenverwaltung für Zürich",
    version="1",
    display_name="",
    description="",
    created_at=NOW,
    updated_at=NOW,
    spec_count=0,
    operation_count=0,
)


def keyed_operations(gateway: Gateway) -> list[tuple[str, str, str]]:
    """Every operation that asks for a key: method, path and role."""
    paths: dict[str, dict[str, Any]] = gateway.call("GET", "/openapi.json").json["paths"]
    return [
        (method.upper(), path.replace("{job_id}", "1").replace("{", "").replace("}", ""), operation["x-required-role"])
        for path, operations in paths.items()
        for method, operation in operations.items()
        if operation.get("security") != []
    ]


def test_every_route_but_the_open_ones_is_refused_without_a_key(gateway: Gateway) -> None:
    operations = keyed_operations(gateway)
    assert len(operations) > 15
    for method, path, _ in operations:
        for key in (None, "nonsense"):
            answer = gateway.call(method, path, key=key)
            assert (answer.status, answer.code) == (401, "unauthenticated"), (method, path)


def test_every_route_is_refused_when_the_role_is_too_low(gateway: Gateway) -> None:
    lower = {"reader": (), "editor": ("reader",), "admin": ("reader", "editor")}
    for method, path, role in keyed_operations(gateway):
        for key in lower[role]:
            answer = gateway.call(method, path, key=key)
            assert (answer.status, answer.code) == (403, "forbidden"), (method, path, key)


def test_key_is_taken_as_a_bearer_token_too(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opdex.catalog.store.get_catalog", lambda connection, catalog_id: CRM)
    answer = gateway.call("GET", f"{CATALOGS}/crm", headers={"Authorization": "bearer reader"}, key=None)
    assert answer.status == 200
    assert gateway.call("GET", f"{CATALOGS}/crm", headers={"Authorization": "Basic reader"}, key=None).status == 401


def test_answer_is_utf8_and_carries_the_request_id(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opdex.catalog.store.get_catalog", lambda connection, catalog_id: CRM)
    answer = gateway.call("GET", f"{CATALOGS}/crm")
    assert "Kundenverwaltung für Zürich".encode() in answer.body
    assert answer.json["created_at"] == "2026-05-19T11:42:03Z"
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert len(answer.headers["x-request-id"]) == 36


@pytest.mark.parametrize(
    ("sent", "taken"), [("deploy-42-of-team-blue", True), ("x", False), ("two words", False), ('{"a": "b"}', False)]
)
def test_request_keeps_the_id_that_it_came_with_when_that_is_sane(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, sent: str, taken: bool
) -> None:
    seen: list[str | None] = []

    def away(connection: object, catalog_id: str) -> None:
        seen.append(correlation_id())
        raise DatabaseUnavailable

    monkeypatch.setattr("opdex.catalog.store.get_catalog", away)

    answer = gateway.call("GET", f"{CATALOGS}/crm", headers={"X-Request-Id": sent})

    request_id = answer.headers["x-request-id"]
    assert (request_id == sent) == taken
    assert taken or len(request_id) == 36
    assert seen == [request_id]
    assert answer.json["error"]["details"]["request_id"] == request_id
    assert correlation_id() is None


def test_request_is_measured_by_route_and_status_when_it_is_answered(
    gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.call("GET", f"{CATALOGS}/crm", key=None)
    gateway.call("GET", "/nope")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    measured = [(line["route"], line["status"], line["Requests"]) for line in lines if "Requests" in line]
    assert measured == [("catalogs", "4xx", [1]), ("unknown", "4xx", [1])]


def test_unknown_address_is_404(gateway: Gateway) -> None:
    for path in ("/nope", f"{BASE_PATH}/nope", f"{CATALOGS}/crm/specs/users/nope", "/%22%00"):
        answer = gateway.call("GET", path, key=None)
        assert (answer.status, answer.code) == (404, "not_found")


def test_wrong_method_is_405_and_names_the_right_ones(gateway: Gateway) -> None:
    answer = gateway.call("PATCH", f"{CATALOGS}/crm", key=None)
    assert (answer.status, answer.code, answer.headers["allow"]) == (405, "method_not_allowed", "DELETE, GET, PUT")


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", f"{CATALOGS}/CRM", "catalog_not_found"),
        ("GET", f"{CATALOGS}/{'a' * 101}", "catalog_not_found"),
        ("DELETE", f"{CATALOGS}/a%20b", "catalog_not_found"),
        ("GET", f"{CATALOGS}/crm/specs/Users", "spec_not_found"),
        ("PUT", f"{CATALOGS}/CRM/specs/users/upload", "catalog_not_found"),
        ("GET", f"{BASE_PATH}/embedding-jobs/0", "job_not_found"),
        ("GET", f"{BASE_PATH}/embedding-jobs/nope", "job_not_found"),
        ("POST", f"{BASE_PATH}/embedding-jobs/{2**63}/cancel", "job_not_found"),
    ],
)
def test_id_that_nothing_can_have_is_404(gateway: Gateway, method: str, path: str, code: str) -> None:
    answer = gateway.call(method, path)
    assert (answer.status, answer.code) == (404, code)


def test_spec_name_that_cannot_be_created_is_400(gateway: Gateway) -> None:
    answer = gateway.call("PUT", f"{CATALOGS}/crm/specs/My.Users/upload", b"{}")
    assert (answer.status, answer.code) == (400, "malformed_request")
    assert answer.json["error"]["details"]["fields"][0]["name"] == "spec_name"


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=501",
        "limit=many",
        "limit=1_0",
        "limit=%205",
        "limit=%2B5",
        "limit=%D9%A3",
        "limit=5.0",
        "limit=1&limit=2",
        "cursor=nonsense",
        f"cursor={'a' * 501}",
    ],
)
def test_query_out_of_bounds_is_400_and_names_the_field(gateway: Gateway, query: str) -> None:
    answer = gateway.call("GET", f"{CATALOGS}?{query}")
    assert (answer.status, answer.code) == (400, "malformed_request")
    assert query.partition("=")[0] in json.dumps(answer.json["error"]["details"])


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"id": "CRM"}, "id"),
        ({"id": None}, "id"),
        ({"name": ""}, "name"),
        ({"name": "   "}, "name"),
        ({"name": 7}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"description": "a\0b"}, "description"),
        ({"name": "a\ud800"}, "name"),
        ({"version": "\udfff"}, "version"),
        ({"display_name": "a\ud83d"}, "display_name"),
        ({"description": "a\ud800"}, "description"),
        ({"name": "a" * 201}, "name"),
        ({"description": "a" * 10_001}, "description"),
        ({"version": "1" * 51}, "version"),
    ],
)
def test_field_of_a_body_that_is_off_is_400_and_named(gateway: Gateway, change: dict[str, Any], field: str) -> None:
    answer = gateway.call("POST", CATALOGS, {"id": "crm", "name": "CRM", "version": "1", **change})
    assert (answer.status, answer.code) == (400, "malformed_request")
    assert [place["name"] for place in answer.json["error"]["details"]["fields"]] == [field]


@pytest.mark.parametrize(
    "content_type", ["Application/JSON", "APPLICATION/JSON;charset=UTF-8", " application/json ; charset=utf-8"]
)
def test_media_type_of_a_json_body_has_no_case(gateway: Gateway, content_type: str) -> None:
    answer = gateway.call("POST", CATALOGS, b'{"id": "crm"}', headers={"Content-Type": content_type})
    assert (answer.status, answer.code) == (400, "malformed_request")
    assert {field["name"] for field in answer.json["error"]["details"]["fields"]} == {"name", "version"}


@pytest.mark.parametrize(
    "expires_at",
    [
        "2000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+12:00",
        "9999-12-31T23:59:59-12:00",
        "9999-12-31T23:59:59Z",
        "2999-01-01T00:00:00",
        "soon",
        -1,
        99999999999999999999,
        4102444800,
        "4102444800",
        4102444800.5,
        True,
    ],
)
def test_key_that_would_end_at_no_moment_to_come_is_400(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, expires_at: object
) -> None:
    monkeypatch.setattr("opdex.http.keys_store.create_key", lambda *_: pytest.fail("a key was made"))
    draft = {"name": "guest", "role": "reader", "expires_at": expires_at}
    answer = gateway.call("POST", f"{BASE_PATH}/keys", draft, key="admin")
    assert (answer.status, answer.code) == (400, "malformed_request")
    assert [field["name"] for field in answer.json["error"]["details"]["fields"]] == ["expires_at"]


def test_all_missing_fields_are_named_at_once(gateway: Gateway) -> None:
    fields = gateway.call("POST", CATALOGS, {}).json["error"]["details"]["fields"]
    assert {field["name"] for field in fields} == {"id", "name", "version"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"x"',
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"id": ' + b"9" * 5000 + b"}",
        b'{"id": "\\ud800"}',
    ],
)
@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8"])
def test_body_that_is_no_json_object_is_400(gateway: Gateway, body: bytes, content_type: str) -> None:
    answer = gateway.call("POST", CATALOGS, body, headers={"Content-Type": content_type})
    assert (answer.status, answer.code) == (400, "malformed_request")


@pytest.mark.parametrize("encoded", ["!!!", base64.b64encode(b"\xff{}").decode(), "ä"])
def test_base64_body_that_is_no_json_is_400(gateway: Gateway, encoded: str) -> None:
    event = proxy_event("POST", CATALOGS, b"{}", {"x-api-key": "editor", "content-type": "application/json"})
    answer = gateway.handler({**event, "body": encoded, "isBase64Encoded": True}, LambdaContext())
    assert answer["statusCode"] == 400


def test_body_of_another_media_type_is_415(gateway: Gateway) -> None:
    for content_type in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain"):
        answer = gateway.call("POST", CATALOGS, b"{}", headers={"Content-Type": content_type})
        assert (answer.status, answer.code) == (415, "unsupported_media_type")


def test_database_that_is_away_is_503_with_retry_after(gateway: Gateway, database: FakeDatabase) -> None:
    database.away = True
    for path in (CATALOGS, "/healthz"):
        answer = gateway.call("GET", path)
        assert (answer.status, answer.code) == (503, "database_unavailable")
        assert int(answer.headers["retry-after"]) > 0
    assert gateway.call("GET", CATALOGS, key=None).status == 401
    assert gateway.call("GET", "/healthz?shallow=true").json == {"status": "ok"}


def test_health_asks_the_database_unless_it_is_shallow(gateway: Gateway, log: list[str]) -> None:
    assert gateway.call("GET", "/healthz?shallow=true", key=None).status == 200
    assert log == []
    assert gateway.call("GET", "/healthz", key=None).json == {"status": "ok"}
    assert log == ["begin", "SELECT 1", "commit"]


def test_unforeseen_error_is_500_that_tells_nothing_and_logs_everything(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("SELECT secret FROM keys")

    monkeypatch.setattr("opdex.catalog.store.get_catalog", broken)
    answer = gateway.call("GET", f"{CATALOGS}/crm")
    assert (answer.status, answer.code) == (500, "internal_error")
    assert b"secret" not in answer.body
    assert b"Traceback" not in answer.body
    (failed,) = (record for record in caplog.records if record.message == "request failed")
    (error,) = failed.errors  # type: ignore[attr-defined]
    assert error["type"] == "ZeroDivisionError"
    assert "test_app.py" in error["at"][-1]
    assert "secret" not in str(vars(failed))


def test_answer_that_cannot_be_serialized_is_500(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opdex.catalog.store.get_catalog", lambda connection, catalog_id: object())
    answer = gateway.call("GET", f"{CATALOGS}/crm")
    assert (answer.status, answer.code) == (500, "internal_error")


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"httpMethod": "GET"},
        {"requestContext": {}, "path": None, "httpMethod": "GET"},
        {"requestContext": None, "path": "/", "httpMethod": "GET"},
    ],
)
def test_event_that_is_none_still_gets_an_answer(context: ApiContext, event: dict[str, Any]) -> None:
    answer = whole_service(context)(event, LambdaContext())  # type: ignore[arg-type]
    assert answer["statusCode"] in (200, 404, 500)
    json.dumps(answer)


def test_answer_larger_than_lambda_takes_is_an_error_instead(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    huge = CRM.model_copy(update={"description": '"' * 4_000_000})  # each becomes \\\" on its way
    monkeypatch.setattr("opdex.catalog.store.get_catalog", lambda connection, catalog_id: huge)
    answer = gateway.call("GET", f"{CATALOGS}/crm")
    assert (answer.status, answer.code) == (500, "answer_too_large")


def test_configuration_error_says_what_to_set(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ConfigurationError("Set DATABASE_SECRET_ARN.")

    monkeypatch.setattr("opdex.catalog.store.get_catalog", broken)
    answer = gateway.call("GET", f"{CATALOGS}/crm")
    assert (answer.status, answer.json["error"]["message"]) == (500, "Set DATABASE_SECRET_ARN.")


@pytest.mark.parametrize("path", ["", "/", "/healthz", "/healthz/", f"{CATALOGS}/crm", f"{CATALOGS}/crm/"])
@pytest.mark.parametrize("base_path", ["", "/opdex", "/api/v1"])
def test_route_is_found_behind_a_stage_and_behind_a_base_path(
    context: ApiContext, gateway: Gateway, monkeypatch: pytest.MonkeyPatch, path: str, base_path: str
) -> None:
    monkeypatch.setattr("opdex.catalog.store.get_catalog", lambda connection, catalog_id: CRM)
    behind = Gateway(gateway.handler, key="reader", base_path=base_path)
    assert behind.call("GET", path).status == 200


def test_gateway_of_the_tests_refuses_what_lambda_refuses(gateway: Gateway) -> None:
    with pytest.raises(PayloadRefusedError):
        gateway.call(
            "PUT", f"{CATALOGS}/crm/specs/users/upload", b"x" * 5_000_000, headers={"Content-Type": "application/gzip"}
        )
