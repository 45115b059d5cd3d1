"""Odd addresses, headers and JSON: what schemathesis keeps to the description for. Documents have the campaign."""

import json
import re
from functools import partial
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opdex.http.context import ApiContext
from opdex.http.keys_store import create_key
from opdex.settings import ApiSettings
from tests.fuzz.campaign import broken_promise
from tests.gateway import Answer, Gateway, whole_service
from tests.integration.engine import Engine, document, things

# Half a surrogate pair, NUL, other control characters and what is longer in UTF-8 than it looks come often.
_CHARACTERS = st.one_of(st.sampled_from("\0\n\x1b\x7f\ud800\udfff\u2028\U0001f600é%/.-_ '\""), st.characters())
TEXT = st.one_of(st.text(_CHARACTERS, max_size=12), st.integers(190, 1100).map(lambda length: "é" * length))
SCALAR = st.one_of(TEXT, st.none(), st.booleans(), st.integers(), st.floats(), st.just(10**400))
VALUE = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=5
)

METHODS = st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "get", "É"])
KNOWN = {"catalog_id": "crm", "spec_name": "users", "job_id": "1", "key_id": "0"}
QUERIES: dict[str, dict[str, list[str]]] = {
    "search": {"q": ["thing"], "catalog": ["crm"], "spec": ["users"], "method": ["get"], "tag": ["a"], "limit": ["500"],
               "ranking": ["hybrid", "lexical"]},
    "api-catalogs": {"limit": ["1", "500"], "cursor": ["Y3Jt"]},
    "specs": {"cursor": ["Y3Jt"]},
    "embedding-status": {"spec": ["users"], "limit": ["1"], "cursor": ["Y3Jt"]},
    "embedding-jobs": {"spec_name": ["users"], "status": ["pending"], "limit": ["1"], "cursor": ["Mg"]},
    "upload": {"base_path": ["/v1"], "entry": ["a.yaml"]},
    "healthz": {"shallow": ["true"]},
}  # fmt: skip
DRAFTS: dict[tuple[str, str], dict[str, list[Any]]] = {
    ("POST", "api-catalogs"): {
        "id": ["other"], "name": ["Other"], "version": ["1"], "display_name": ["O"], "description": ["All of it."],
    },
    ("PUT", "{spec_name}"): {
        "source_kind": ["inline"], "content": [document(things(2)).decode()], "base_path": ["/v1"],
    },
    ("POST", "keys"): {
        "name": ["CI"], "role": ["reader"], "expires_at": [
            "2999-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00", -1,
        ],
    },
}  # fmt: skip
MEDIA_TYPES = [
    "application/json", "Application/JSON; charset=utf-8", "application/gzip", "application/octet-stream", "text/yaml",
    "multipart/form-data; boundary=b", "multipart/form-data; boundary=€", "application/zip", "",
]  # fmt: skip


def some(known: list[Any], odd: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly one of the known values, so that most requests get past the first check."""
    return st.integers(0, 9).flatmap(lambda n: odd if n == 9 else st.sampled_from(known))


def escaped(text: str, safe: str = "") -> str:
    return quote(text, safe=safe, errors="surrogatepass")


@st.composite
def paths(draw: st.DrawFn, template: str) -> str:
    filled = re.sub(r"{(\w+)}", lambda name: escaped(draw(some([KNOWN[name[1]]], TEXT))), template)
    known = QUERIES.get(template.rpartition("/")[2], {})
    named = st.fixed_dictionaries(
        {"q": some(["thing"], TEXT)} if "q" in known else {},
        optional={name: some(values, TEXT) for name, values in known.items() if name != "q"},
    )
    pairs = [*draw(named).items(), *draw(some([[]], st.lists(st.tuples(TEXT, TEXT), max_size=3)))]
    query = "&".join(f"{escaped(name)}={escaped(value)}" for name, value in pairs)
    return f"{filled}?{query}" if query else filled


def as_json(values: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
    return values.map(lambda value: json.dumps(value).encode())


def drafts(method: str, template: str) -> st.SearchStrategy[bytes]:
    """What the route takes as JSON, with a field that is odd or missing here and there."""
    fields = DRAFTS[method, template.rpartition("/")[2]]
    odd = {name: some(values, VALUE) for name, values in fields.items()}
    return as_json(st.one_of(st.fixed_dictionaries(odd), st.fixed_dictionaries({}, optional=odd)))


ANYTHING = st.one_of(as_json(VALUE), st.binary(max_size=40))
BOUNDED = partial(settings, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "content-type": some(MEDIA_TYPES, st.text(max_size=12)),
        "authorization": some(["Bearer x", "Basic x"], st.text(max_size=12)),
        "accept": st.sampled_from(["application/json", "*/*", "nothing"]),
        "content-encoding": st.sampled_from(["gzip", "identity"]),
        "origin": st.text(max_size=12),
        "cookie": st.text(max_size=12),
    },
)


@pytest.fixture
def gateway(engine: Engine, database_url: str) -> Gateway:
    read = ApiSettings(database_url=database_url, embed_queue_url="unused")
    api = whole_service(ApiContext(read, engine.database, engine.wake_ups, lambda: engine.embedder))
    return Gateway(api, key=engine.transact(lambda c: create_key(c, "test", "admin", None)).key)


@pytest.fixture
def routes(gateway: Gateway) -> list[tuple[str, str]]:
    """The method and path of every route; those that read something come more than once."""
    described = gateway.call("GET", "/openapi.json").json["paths"]
    found = [(method.upper(), path) for path, item in described.items() for method in item]
    return found + 3 * [
        (method, path)
        for method, path in found
        if (method, path.rpartition("/")[2]) in DRAFTS or path.rpartition("/")[2] in QUERIES
    ]


def check(answer: Answer) -> None:
    assert broken_promise(answer) is None
    if answer.status != 204 and answer.headers["content-type"] == "application/json":
        assert isinstance(answer.json, dict)


def test_any_request_at_all_gets_an_answer_of_the_contract(gateway: Gateway, routes: list[tuple[str, str]]) -> None:
    addresses = st.one_of(
        st.sampled_from(routes).flatmap(lambda route: paths(route[1])), TEXT.map(lambda text: f"/{escaped(text)}")
    )

    @BOUNDED(max_examples=300)
    @given(METHODS, addresses, HEADERS, ANYTHING, st.sampled_from([gateway.key, gateway.key, None]))
    def ask(method: str, path: str, headers: dict[str, str], body: bytes, key: str | None) -> None:
        check(gateway.call(method, path, body, headers=headers, key=key))

    ask()


def test_any_request_that_its_route_takes_gets_an_answer_of_the_contract(
    engine: Engine, gateway: Gateway, routes: list[tuple[str, str]]
) -> None:
    @st.composite
    def requests(draw: st.DrawFn) -> tuple[str, str, bytes, str]:
        method, template = draw(st.sampled_from(routes))
        path = draw(paths(template))
        if (method, template.rpartition("/")[2]) in DRAFTS:
            return method, path, draw(drafts(method, template)), draw(some(MEDIA_TYPES[:2], st.text(max_size=12)))
        return method, path, b"", ""

    @BOUNDED(max_examples=600)
    @given(requests())
    def ask(request: tuple[str, str, bytes, str]) -> None:
        method, path, body, content_type = request
        check(gateway.call(method, path, body, headers={"content-type": content_type}))
        if method == "DELETE":  # what follows is to find something again
            engine.upload("users", things(3), "crm")

    engine.upload("users", things(3), "crm")
    ask()
