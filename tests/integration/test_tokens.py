"""Who may call what where the gateway asks for more than a key: from the token to the audit."""

import importlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from opdex.errors import OpdexError
from opdex.http.context import ApiContext
from opdex.http.keys_store import create_key
from opdex.http.routing import BASE_PATH
from opdex.settings import ApiSettings
from opdex.tokens.verifier import TokenVerifier
from tests.document_server import DocumentServer
from tests.gateway import LambdaContext, proxy_event, whole_service
from tests.integration.engine import Engine
from tests.openid_provider import AUDIENCE, OpenIdProvider

METHOD_ARN = "arn:aws:execute-api:eu-central-1:000000000000:abc123/v1/POST/api/v1/admin/api-catalogs"
CRM = {"id": "crm", "name": "CRM", "version": "1"}

type Authorizer = Callable[[str], dict[str, Any]]


class Service:
    """The API behind a gateway that puts what it knows of the caller into the event."""

    def __init__(self, engine: Engine, mode: str) -> None:
        settings = ApiSettings.read(
            database_url=engine.settings.database_url, embed_queue_url="unused", api_authorization=mode
        )
        self._api = whole_service(ApiContext(settings, engine.database, engine.wake_ups, lambda: engine.embedder))
        self.keys = {
            role: engine.transact(lambda c, role=role: create_key(c, role, role, None)).key  # type: ignore[misc]
            for role in ("reader", "editor", "admin")
        }

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        authorizer: Any = None,
        user_arn: str | None = None,
    ) -> tuple[int, Any]:
        sent = {"content-type": "application/json", **(headers or {})}
        event = proxy_event(method, BASE_PATH + path, json.dumps(body).encode() if body else b"", sent)
        event["requestContext"]["authorizer"] = authorizer
        event["requestContext"]["identity"]["userArn"] = user_arn
        answer = self._api(event, LambdaContext())  # type: ignore[arg-type]
        return answer["statusCode"], json.loads(answer["body"] or "null")

    def last_who(self, **named: Any) -> Any:
        status, audit = self.call("GET", "/audit", **named)
        assert status == 200
        return audit["entries"][0]["who"]


@pytest.fixture
def provider() -> Iterator[OpenIdProvider]:
    with DocumentServer() as server:
        yield OpenIdProvider(server)


@pytest.fixture
def authorizer(provider: OpenIdProvider, monkeypatch: pytest.MonkeyPatch) -> Authorizer:
    """The authorizer function, in a process of its own as far as it can tell."""
    monkeypatch.setenv("TOKEN_ISSUER", provider.issuer)
    monkeypatch.setenv("TOKEN_AUDIENCE", AUDIENCE)
    module = importlib.reload(importlib.import_module("functions.authorizer.handler"))

    def ask(header: str) -> dict[str, Any]:
        event = {"type": "TOKEN", "authorizationToken": header, "methodArn": METHOD_ARN}
        answer: dict[str, Any] = module.handler(event, LambdaContext())
        return answer

    return ask


def known(verdict: dict[str, Any]) -> dict[str, Any]:
    """What API Gateway makes of a verdict: it lets the call through and hands the context on, as text."""
    (statement,) = verdict["policyDocument"]["Statement"]
    assert (statement["Effect"], statement["Action"]) == ("Allow", "execute-api:Invoke")
    assert statement["Resource"] == "arn:aws:execute-api:eu-central-1:000000000000:abc123/v1/*"
    assert all(isinstance(value, str) for value in verdict["context"].values())
    return {"principalId": verdict["principalId"], "integrationLatency": 7, **verdict["context"]}


def test_token_with_a_role_needs_no_key(engine: Engine, provider: OpenIdProvider, authorizer: Authorizer) -> None:
    service = Service(engine, "jwt")
    token = provider.token(roles=["opdex:editor"], preferred_username="ann", sub="user-7")
    headers = {"authorization": f"Bearer {token}"}
    ann = known(authorizer(f"bearer  {token}"))
    assert service.call("POST", "/api-catalogs", CRM, headers=headers, authorizer=ann)[0] == 201
    status, refused = service.call("GET", "/audit", headers=headers, authorizer=ann)
    assert (status, refused["error"]["code"]) == (403, "forbidden")
    assert refused["error"]["message"] == "This call needs the role 'admin'; the token has 'editor'."

    boss = known(authorizer(f"Bearer {provider.token(roles=['opdex:admin'])}"))
    who = service.last_who(authorizer=boss)
    assert who == {"kind": "token", "id": "user-7", "name": "ann", "role": "editor", "gateway": None}


def test_key_lends_no_more_rights_to_a_token_that_has_its_role(
    engine: Engine, provider: OpenIdProvider, authorizer: Authorizer
) -> None:
    service = Service(engine, "jwt")
    reader = known(authorizer(f"Bearer {provider.token(roles=['opdex:reader'])}"))
    for headers in ({"x-api-key": service.keys["admin"]}, {"authorization": f"Bearer {service.keys['admin']}"}):
        assert service.call("POST", "/api-catalogs", CRM, headers=headers, authorizer=reader)[0] == 403


def test_token_without_a_role_needs_a_key_beside_it(
    engine: Engine, provider: OpenIdProvider, authorizer: Authorizer
) -> None:
    service = Service(engine, "jwt")
    token = provider.token(sub="user-7")
    caller = known(authorizer(f"Bearer {token}"))
    with_token = {"authorization": f"Bearer {token}"}
    assert service.call("GET", "/api-catalogs", headers=with_token, authorizer=caller)[0] == 401
    with_key = {**with_token, "x-api-key": service.keys["admin"]}
    assert service.call("POST", "/api-catalogs", CRM, headers=with_key, authorizer=caller)[0] == 201
    who = service.last_who(headers=with_key, authorizer=caller)
    assert (who["kind"], who["name"], who["role"], who["gateway"]) == ("key", "admin", "admin", "user-7")


def test_verdict_that_the_gateway_has_kept_ends_with_its_token(
    engine: Engine, provider: OpenIdProvider, authorizer: Authorizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service(engine, "jwt")
    ends_at = int(time.time()) + 60
    kept = known(authorizer(f"Bearer {provider.token(roles=['opdex:admin'], exp=ends_at)}"))
    assert service.call("GET", "/audit", authorizer=kept)[0] == 200
    monkeypatch.setattr("opdex.http.gateway_identity.time.time", lambda: ends_at + 0.5)
    assert service.call("GET", "/audit", authorizer=kept)[0] == 401


@pytest.mark.parametrize(
    "authorizer",
    [
        None,
        {},
        {"principalId": "", "role": "admin", "expires_at": "99999999999"},
        {"principalId": "user-7", "role": "admin"},
        {"principalId": "user-7", "role": "admin", "expires_at": "nan"},
        {"principalId": "user-7", "role": "admin", "expires_at": "soon"},
        {"principalId": 7, "role": "admin", "expires_at": "99999999999"},
        {"role": "admin", "expires_at": "99999999999"},
    ],
)
def test_request_is_refused_when_the_gateway_did_not_check_its_token(engine: Engine, authorizer: Any) -> None:
    service = Service(engine, "jwt")
    headers = {"x-api-key": service.keys["admin"]}
    assert service.call("GET", "/audit", headers=headers, authorizer=authorizer)[0] == 401


def test_authorizer_is_not_believed_where_none_is_configured(engine: Engine) -> None:
    service = Service(engine, "none")
    made_up = {"principalId": "user-7", "role": "admin", "expires_at": "99999999999", "claims": {"sub": "x"}}
    assert service.call("GET", "/audit", authorizer=made_up, user_arn="arn:aws:iam::1:user/x")[0] == 401
    headers = {"x-api-key": service.keys["reader"]}
    assert service.call("GET", "/audit", headers=headers, authorizer=made_up)[0] == 403


@pytest.mark.parametrize(
    ("groups", "status"),
    [
        ("opdex:admin", 200),
        ("staff,opdex:reader,opdex:admin", 200),
        ("[staff opdex:admin]", 200),
        ("opdex:reader", 403),
        ("admin", 401),
        ("not-opdex:admin", 401),
        (None, 401),
    ],
)
def test_group_of_a_user_pool_gives_the_role(engine: Engine, groups: str | None, status: int) -> None:
    service = Service(engine, "cognito")
    claims = {"sub": "user-7", "cognito:username": "ann", "cognito:groups": groups}
    assert service.call("GET", "/audit", authorizer={"claims": claims})[0] == status


def test_signed_request_needs_a_key_beside_its_signature(engine: Engine) -> None:
    service = Service(engine, "iam")
    role = "arn:aws:sts::000000000000:assumed-role/deployer/session"
    signed = {"authorization": "AWS4-HMAC-SHA256 Credential=…"}
    assert service.call("GET", "/audit", headers=signed, user_arn=role)[0] == 401
    bearer = {"authorization": f"Bearer {service.keys['admin']}"}
    assert service.call("GET", "/audit", headers=bearer, user_arn=role)[0] == 401
    both = {**signed, "x-api-key": service.keys["admin"]}
    assert service.call("POST", "/api-catalogs", CRM, headers=both, user_arn=role)[0] == 201
    assert service.last_who(headers=both, user_arn=role)["gateway"] == role
    assert service.call("GET", "/audit", headers=both, user_arn=None)[0] == 401


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic dXNlcjpwdw==", "Bearer a.b.c", "opdex_key", "\0"])
def test_gateway_is_told_401_when_the_header_carries_no_good_token(authorizer: Authorizer, header: str) -> None:
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorizer(header)


def test_why_a_token_is_refused_is_logged_without_it(
    provider: OpenIdProvider, authorizer: Authorizer, caplog: pytest.LogCaptureFixture
) -> None:
    token = provider.token(aud="elsewhere")
    with caplog.at_level(logging.DEBUG, "opdex"), pytest.raises(Exception, match=r"^Unauthorized$"):
        authorizer(f"Bearer {token}")
    logged = " ".join(str(vars(record)) for record in caplog.records)
    assert "The token is not accepted: InvalidAudienceError." in logged
    assert token.split(".")[2] not in logged


def test_nothing_of_a_token_is_written_down_when_the_authorizer_breaks_over_it(
    provider: OpenIdProvider,
    authorizer: Authorizer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def break_over(_: TokenVerifier, token: str) -> None:
        raise KeyError(token)

    monkeypatch.setattr(TokenVerifier, "verify", break_over)
    token = provider.token(sub="user-7")
    with caplog.at_level(logging.DEBUG, "opdex"), pytest.raises(OpdexError) as raised:
        authorizer(f"Bearer {token}")
    logged = " ".join(str(vars(record)) for record in caplog.records)
    assert "invocation failed" in logged
    assert not any(part in logged + str(raised.value) for part in token.split("."))
    assert (raised.value.__cause__, raised.value.__suppress_context__) == (None, True)


def test_names_from_a_token_are_short_and_printable(
    engine: Engine, provider: OpenIdProvider, authorizer: Authorizer
) -> None:
    odd = known(authorizer(f"Bearer {provider.token(roles=['opdex:admin'], sub='s' * 300, email='a\x1b[31m\nb')}"))
    service = Service(engine, "jwt")
    service.call("POST", "/api-catalogs", CRM, authorizer=odd)
    who = service.last_who(authorizer=odd)
    assert (who["id"], who["name"]) == ("s" * 255, "a\ufffd[31m b")
