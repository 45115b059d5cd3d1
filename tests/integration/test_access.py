"""Who may call what: every route of the service's own description, with every kind of key."""

import json
import logging
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from opdex.database import Connection
from opdex.http.context import ApiContext
from opdex.http.keys_store import Key, create_key, delete_key, keep_first_admin_key
from opdex.http.routing import BASE_PATH
from opdex.settings import ApiSettings
from tests.gateway import Answer, Gateway, LambdaContext, proxy_event, whole_service
from tests.integration.engine import Engine

FIRST_ADMIN = "first-admin-key-" + "x" * 24
RANKS = {"reader": 0, "editor": 1, "admin": 2}


@pytest.fixture
def service(engine: Engine) -> Gateway:
    settings = ApiSettings(database_url=engine.settings.database_url, embed_queue_url="unused")
    return Gateway(whole_service(ApiContext(settings, engine.database, engine.wake_ups, lambda: engine.embedder)))


@pytest.fixture
def keys(engine: Engine) -> dict[str, str | None]:
    """What a client may send as its key, by what is the matter with it."""

    def made(role: Any) -> str:
        return engine.transact(lambda c: create_key(c, role, role, None)).key

    expired, revoked = (engine.transact(lambda c: create_key(c, "short", "admin", None)) for _ in range(2))
    engine.sql("UPDATE keys SET expires_at = now() - interval '1 millisecond' WHERE id = %s", expired.id)
    engine.transact(lambda c: delete_key(c, revoked.id))
    for first_admin in ("replaced" + FIRST_ADMIN, FIRST_ADMIN):
        engine.transact(lambda c, key=first_admin: keep_first_admin_key(c, key))  # type: ignore[misc]
    admin = made("admin")
    return {
        "none": None,
        "empty": " ",
        "wrong": "opdex_" + "A" * 43,
        "expired": expired.key,
        "revoked": revoked.key,
        "replaced": "replaced" + FIRST_ADMIN,
        "cut": admin[:-1],
        "longer": admin + "x",
        "endless": admin * 200,
        "other case": admin.swapcase(),
        "NUL": admin + "\0",
        "odd": "ключ'; DROP TABLE keys; --",
        "reader": made("reader"),
        "editor": made("editor"),
        "admin": admin,
        "first admin": FIRST_ADMIN,
    }


@pytest.fixture
def routes(service: Gateway) -> list[tuple[str, str, str | None]]:
    """Each route's method, an address that leads nowhere in particular, and the role that it asks for."""
    paths = service.call("GET", "/openapi.json").json["paths"]
    return [
        (
            method.upper(),
            path.replace("{job_id}", "1").replace("{", "no-such-").replace("}", ""),
            None if operation.get("security") == [] else operation["x-required-role"],
        )
        for path, operations in paths.items()
        for method, operation in operations.items()
    ]


def call(service: Gateway, method: str, path: str, **headers: str) -> Answer:
    return service.call(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})


def test_each_route_is_for_those_whose_role_suffices_and_for_nobody_else(
    service: Gateway, keys: dict[str, str | None], routes: list[tuple[str, str, str | None]], engine: Engine
) -> None:
    assert {role for _, _, role in routes} == {None, "reader", "editor", "admin"}
    for method, path, required in routes:
        for kind, key in keys.items():
            answer = service.call(method, path, key=key)
            role = kind.removeprefix("first ")
            seen = (answer.status, answer.code if answer.status in (401, 403) else None)
            if required is None:
                assert answer.status == 200, (method, path, kind)
            elif role not in RANKS:
                assert seen == (401, "unauthenticated"), (method, path, kind)
            elif RANKS[role] < RANKS[required]:
                assert seen == (403, "forbidden"), (method, path, kind)
            else:
                assert answer.status not in (401, 403), (method, path, kind)
                assert answer.status < 500, (method, path, kind)
    assert engine.sql("SELECT FROM audit") == []  # nothing was there to change


def test_key_is_refused_at_once_when_it_is_deleted_by_another_process(service: Gateway, engine: Engine) -> None:
    key = engine.transact(lambda c: create_key(c, "bot", "admin", None))
    service.key = key.key
    assert service.call("GET", f"{BASE_PATH}/keys").status == 200
    engine.transact(lambda c: delete_key(c, key.id))
    assert service.call("GET", f"{BASE_PATH}/keys").status == 401


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_bearer_token_is_as_good_as_the_header_of_its_own(
    service: Gateway, keys: dict[str, str | None], scheme: str
) -> None:
    assert call(service, "GET", f"{BASE_PATH}/keys", authorization=f"{scheme}  {keys['admin']} ").status == 200
    assert call(service, "GET", f"{BASE_PATH}/keys", authorization=f"Basic {keys['admin']}").status == 401
    assert call(service, "GET", f"{BASE_PATH}/keys", authorization=str(keys["admin"])).status == 401
    basic = b64encode(f":{keys['admin']}".encode()).decode()
    assert call(service, "GET", f"{BASE_PATH}/keys", authorization=f"Basic {basic}").status == 401


def test_request_with_two_keys_is_refused_whichever_comes_first(service: Gateway, keys: dict[str, str | None]) -> None:
    admin, reader = str(keys["admin"]), str(keys["reader"])
    for one, other in ((admin, reader), (reader, admin), (admin, "nonsense"), ("nonsense", admin)):
        answer = call(service, "GET", f"{BASE_PATH}/audit", x_api_key=one, authorization=f"Bearer {other}")
        assert (answer.status, answer.code) == (401, "unauthenticated")
        for headers in (
            {"X-API-Key": [one, other]},
            {"X-API-Key": [one], "x-api-key": [other]},
            {"Authorization": [f"Bearer {one}", f"Bearer {other}"]},
        ):
            event = proxy_event("GET", f"{BASE_PATH}/audit")
            event |= {"headers": {name: values[-1] for name, values in headers.items()}, "multiValueHeaders": headers}
            assert service.handler(event, LambdaContext())["statusCode"] == 401
    twice = call(service, "GET", f"{BASE_PATH}/audit", x_api_key=admin, authorization=f"Bearer {admin}")
    assert twice.status == 200


def test_key_is_in_no_log_line_whatever_is_asked_with_it(
    service: Gateway, keys: dict[str, str | None], caplog: pytest.LogCaptureFixture
) -> None:
    admin, wrong = str(keys["admin"]), str(keys["wrong"])
    service.key = admin
    with caplog.at_level(logging.DEBUG, "opdex"):
        made = service.call("POST", f"{BASE_PATH}/keys", {"name": "bot", "role": "reader"}).json["key"]
        service.call("DELETE", f"{BASE_PATH}/keys/{made}")
        service.call("GET", f"/{admin}?key={admin}")
        service.call("GET", f"{BASE_PATH}/search?q={admin}", key=wrong)
    assert len([record for record in caplog.records if record.message == "request"]) == 4
    logged = " ".join(str(vars(record)) for record in caplog.records)
    for secret in (admin, made, wrong):
        assert secret not in logged
        assert secret.removeprefix("opdex_") not in logged


def test_only_the_hash_of_a_key_is_stored(service: Gateway, keys: dict[str, str | None], engine: Engine) -> None:
    service.key = keys["admin"]
    answer = service.call("POST", f"{BASE_PATH}/keys", {"name": "bot", "role": "reader"})
    secret = answer.json["key"].removeprefix("opdex_")
    assert len(secret) == 43
    stored = json.dumps([engine.sql(f"SELECT * FROM {table}") for table in ("keys", "audit")], default=str)
    assert secret not in stored
    assert secret not in service.call("GET", f"{BASE_PATH}/keys").body.decode()
    assert secret not in service.call("GET", f"{BASE_PATH}/audit").body.decode()


def test_key_works_until_it_expires(service: Gateway, keys: dict[str, str | None], engine: Engine) -> None:
    service.key = keys["admin"]
    ends = datetime.now(UTC) + timedelta(hours=1)
    draft = {"name": "guest", "role": "reader", "expires_at": ends.isoformat()}
    made = service.call("POST", f"{BASE_PATH}/keys", draft)
    assert (made.status, datetime.fromisoformat(made.json["expires_at"])) == (201, ends)
    search = f"{BASE_PATH}/api-catalogs"
    assert service.call("GET", search, key=made.json["key"]).status == 200
    engine.sql("UPDATE keys SET expires_at = now() WHERE id = %s", made.json["id"])
    assert service.call("GET", search, key=made.json["key"]).status == 401
    listed = {key["id"]: key for key in service.call("GET", f"{BASE_PATH}/keys").json["keys"]}
    assert listed[made.json["id"]]["name"] == "guest"


def test_use_of_a_key_is_noted_once_an_hour(service: Gateway, engine: Engine) -> None:
    key = engine.transact(lambda c: create_key(c, "bot", "admin", None))
    service.key = key.key

    def last_used_at() -> Any:
        (listed,) = service.call("GET", f"{BASE_PATH}/keys").json["keys"]
        return listed["last_used_at"]

    first = last_used_at()
    assert first is not None
    assert last_used_at() == first
    engine.sql("UPDATE keys SET last_used_at = now() - interval '61 minutes'")
    assert last_used_at() > first


def test_nobody_waits_when_the_use_of_a_key_is_being_noted(service: Gateway, engine: Engine) -> None:
    key = engine.transact(lambda c: create_key(c, "bot", "reader", None))
    with engine.database.connect() as other, other.transaction():
        other.execute("SELECT FROM keys FOR UPDATE")
        assert service.call("GET", f"{BASE_PATH}/api-catalogs", key=key.key).status == 200
    assert engine.sql("SELECT last_used_at FROM keys") == [{"last_used_at": None}]


def test_first_admin_key_stays_so_that_nobody_is_locked_out(
    service: Gateway, keys: dict[str, str | None], engine: Engine
) -> None:
    service.key = FIRST_ADMIN
    for key in service.call("GET", f"{BASE_PATH}/keys").json["keys"]:
        answer = service.call("DELETE", f"{BASE_PATH}/keys/{key['id']}")
        if key["id"] == "first-admin":
            assert (answer.status, answer.code) == (409, "first_admin_key_stays")
        else:
            assert answer.status == 204
    (left,) = service.call("GET", f"{BASE_PATH}/keys").json["keys"]
    assert (left["id"], left["role"], left["expires_at"]) == ("first-admin", "admin", None)


def test_route_cannot_write_past_the_audit(
    service: Gateway, keys: dict[str, str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(connection: Connection) -> list[Key]:
        connection.execute("DELETE FROM keys WHERE id = 'nobody'")
        return []

    monkeypatch.setattr("opdex.http.keys_store.list_keys", write)
    answer = service.call("GET", f"{BASE_PATH}/keys", key=keys["admin"])
    assert (answer.status, answer.code) == (500, "database_failed")
