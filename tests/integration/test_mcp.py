"""The tools over real rows, as the official client gets them through the API; and the request that brings a message."""

import gzip
import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from mcp import Client
from mcp_types import CallToolResult

from opdex.embedding import Vector
from opdex.errors import ProviderUnavailable
from opdex.http.keys_store import create_key
from opdex.http.routing import BASE_PATH
from tests.gateway import Answer, Gateway, serving
from tests.integration.conftest import MakeGateway
from tests.integration.engine import Engine
from tests.mcp_client import as_agent

_PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
_LOANS: dict[str, Any] = {
    "openapi": "3.0.3",
    "info": {"title": "Library", "version": "1"},
    "servers": [{"url": "https://library.example/v2"}],
    "paths": {
        "/loans/{loanId}": {
            "parameters": [{"$ref": "#/components/parameters/LoanId"}],
            "get": {"operationId": "readLoan", "summary": "Read a loan", "deprecated": True},
        },
        "/loans/{loanId}/return": {
            "parameters": [{"$ref": "#/components/parameters/LoanId"}],
            "post": {
                "operationId": "returnLoan",
                "summary": "Give a book back",
                "tags": ["loans"],
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Return"}}}},
                "responses": {
                    "200": {
                        "description": "The loan.",
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Loan"}}},
                    }
                },
            },
        },
    },
    "components": {
        "parameters": {"LoanId": {"name": "loanId", "in": "path", "required": True, "schema": {"type": "integer"}}},
        "schemas": {
            "Return": {"type": "object", "properties": {"condition": {"type": "string", "enum": ["good", "worn"]}}},
            "Loan": {
                "type": "object",
                "properties": {
                    "id": {"type": "integer"},
                    "renewed_from": {"$ref": "#/components/schemas/Loan"},
                    **{f"note{number}": {"type": "string", "description": "words " * 20} for number in range(40)},
                },
            },
        },
    },
}


@pytest.fixture
def library(engine: Engine, gateway: Gateway, crm: str) -> Gateway:
    """The API with one indexed spec, `library` in the catalog `crm`."""
    sent = gateway.call(
        "PUT",
        f"{crm}/specs/library/upload",
        gzip.compress(json.dumps(_LOANS).encode()),
        headers={"Content-Type": "application/gzip"},
    )
    assert sent.status == 201
    engine.worker().handle()
    return gateway


@pytest.fixture(params=["legacy", "auto"])
def agent(request: pytest.FixtureRequest, engine: Engine, library: Gateway) -> Iterator["_Agent"]:
    """An agent with a reader's key, by both ways to begin."""
    key = engine.transact(lambda c: create_key(c, "agent", "reader", None)).key
    with serving(library.handler) as address:
        yield _Agent(f"{address}/mcp", key, request.param)


class _Agent:
    def __init__(self, url: str, key: str, mode: str) -> None:
        self.url, self.key, self.mode = url, key, mode

    def call(self, tool: str, **arguments: Any) -> CallToolResult:
        async def call(client: Client) -> CallToolResult:
            return await client.call_tool(tool, arguments)

        return as_agent(self.url, {"Authorization": f"Bearer {self.key}"}, call, self.mode)

    def result(self, tool: str, **arguments: Any) -> Any:
        answer = self.call(tool, **arguments)
        (content,) = answer.content
        assert content.type == "text"
        assert not answer.is_error, content.text
        assert json.loads(content.text) == answer.structured_content
        return answer.structured_content

    def problem(self, tool: str, **arguments: Any) -> str:
        answer = self.call(tool, **arguments)
        (content,) = answer.content
        assert content.type == "text"
        assert answer.is_error
        return content.text


def test_operation_is_found_and_read_when_an_agent_asks(agent: _Agent, engine: Engine) -> None:
    # What the scripted embedder takes for near says nothing of meaning.
    engine.embedder.embed_queries = _away  # type: ignore[method-assign]
    found = agent.result("search_operations", query="give a book back")["operations"][0]
    assert (found["operation_id"], found["method"], found["path"]) == ("returnLoan", "POST", "/loans/{loanId}/return")
    assert found["summary"] == "Give a book back"
    assert 0 < found["score"] <= 1
    assert "lexical" in found["matched"]

    named = {name: found[name] for name in ("catalog_id", "spec_name", "operation_id")}
    read = agent.result("get_operation", **named)

    assert read["parameters"] == [_LOANS["components"]["parameters"]["LoanId"]]
    schema = read["request_body"]["content"]["application/json"]["schema"]
    assert schema == _LOANS["components"]["schemas"]["Return"]
    answered = read["responses"]["200"]["content"]["application/json"]["schema"]["properties"]
    assert answered["id"] == {"type": "integer"}
    assert answered["renewed_from"]["note"].startswith("recursive: as at /responses/200/")
    assert (read["base_path"], read["tags"], read["left_out"]) == ("/v2", ["loans"], [])


def test_operation_is_read_when_it_is_named_by_method_and_path(agent: _Agent) -> None:
    read = agent.result("get_operation", catalog="crm", spec="library", operation_id="GET /loans/{loanId}")
    assert (read["operation_id"], read["deprecated"]) == ("readLoan", True)


def test_answer_keeps_to_its_tokens_and_the_rest_can_be_asked_for(agent: _Agent) -> None:
    named = {"catalog_id": "crm", "spec_name": "library", "operation_id": "returnLoan"}
    short = agent.call("get_operation", **named, max_tokens=500)
    (content,) = short.content
    assert content.type == "text"
    assert len(content.text.encode()) <= 1_500
    place = "/responses/200/content/application~1json/schema/properties"
    notes = [note["at"] for note in short.structured_content["left_out"]]
    assert any(note.startswith(place) for note in notes)

    rest = agent.result("get_operation", **named, at=place, max_tokens=5_000)

    assert rest["part"]["note39"]["type"] == "string"
    assert "request_body" not in rest
    assert "Nothing is at '/nowhere'" in agent.problem("get_operation", **named, at="/nowhere")


def test_long_summary_is_read_to_its_end_when_each_answer_goes_on(
    agent: _Agent, engine: Engine, library: Gateway, crm: str
) -> None:
    long = " ".join(f"word{number}" for number in range(120))
    body = gzip.compress(json.dumps(_LOANS).replace("Give a book back", long).encode())
    library.call("PUT", f"{crm}/specs/library/upload", body, headers={"Content-Type": "application/gzip"})
    engine.worker().handle()
    named = {"catalog_id": "crm", "spec_name": "library", "operation_id": "returnLoan"}

    read = agent.result("get_operation", **named, max_tokens=1_500)
    shown = read["summary"]
    while note := next((note for note in read["left_out"] if note["at"].startswith("/summary")), None):
        read = agent.result("get_operation", **named, max_tokens=1_500, at=note["at"])
        shown = shown.removesuffix("…") + read["part"]

    assert shown == long


def test_search_is_narrowed_when_filters_are_given(agent: _Agent) -> None:
    def ids(**filters: Any) -> list[str]:
        operations = agent.result("search_operations", query="loan book", **filters)["operations"]
        return sorted(operation["operation_id"] for operation in operations)

    assert ids() == ids(catalog="crm", spec="library") == ["readLoan", "returnLoan"]
    assert ids(limit=1) in (["readLoan"], ["returnLoan"])
    assert ids(deprecated=True) == ids(method="get") == ["readLoan"]
    assert ids(deprecated=False) == ids(tag="loans") == ["returnLoan"]
    assert ids(tag="other") == ids(catalog="crm", spec="library", method="DELETE") == []


@pytest.mark.parametrize(
    ("filters", "problem"),
    [
        ({"catalog": "none"}, "No catalog 'none'. list_catalogs gives the ids that there are."),
        ({"catalog": "none", "spec": "library"}, "No catalog 'none'. list_catalogs gives the ids that there are."),
        ({"catalog": "crm", "spec": "none"}, "No spec 'none' in catalog 'crm'. search_operations gives the spec"),
        ({"spec": "none"}, "No catalog has a spec 'none'. search_operations gives the spec of each operation"),
    ],
)
def test_search_says_what_is_not_there_when_a_filter_names_it(
    agent: _Agent, filters: dict[str, str], problem: str
) -> None:
    assert problem in agent.problem("search_operations", query="loan book", **filters)


def test_search_finds_nothing_when_a_catalog_is_empty(agent: _Agent, library: Gateway) -> None:
    library.call("POST", f"{BASE_PATH}/api-catalogs", {"id": "hr", "name": "HR", "version": "1"})
    assert agent.result("search_operations", query="loan book", catalog="hr")["operations"] == []


def test_catalogs_are_listed_page_by_page(agent: _Agent, library: Gateway) -> None:
    library.call("POST", f"{BASE_PATH}/api-catalogs", {"id": "hr", "name": "HR", "version": "1"})
    first = agent.result("list_catalogs", limit=1)
    assert [(c["id"], c["spec_count"], c["operation_count"]) for c in first["catalogs"]] == [("crm", 1, 2)]
    second = agent.result("list_catalogs", limit=1, cursor=first["next"])
    assert [catalog["id"] for catalog in second["catalogs"]] == ["hr"]
    assert "next" not in second


@pytest.mark.parametrize(
    ("named", "problem"),
    [
        (("none", "library", "returnLoan"), "No catalog 'none'. list_catalogs gives the ids that there are."),
        (("crm", "none", "returnLoan"), "search_operations gives the spec of each operation that it finds."),
        (("crm", "library", "none"), "No operation 'none' in spec 'library' of catalog 'crm'. search_operations gives"),
        (("crm", "library", "\0' OR 1=1"), "No operation"),
        (("CRM!", "library", "none"), "catalog_id: "),
    ],
)
def test_problem_says_what_to_do_when_something_is_not_there(
    agent: _Agent, named: tuple[str, str, str], problem: str
) -> None:
    arguments = dict(zip(("catalog_id", "spec_name", "operation_id"), named, strict=True))
    assert problem in agent.problem("get_operation", **arguments)


@pytest.mark.parametrize(
    ("tool", "arguments", "field"),
    [
        ("search_operations", {"query": " "}, "query"),
        ("search_operations", {"query": "x" * 1_001}, "query"),
        ("search_operations", {"query": "x", "limit": 51}, "limit"),
        ("search_operations", {"query": "x", "method": "GET /"}, "method"),
        ("search_operations", {"query": "x", "catalogue": "crm"}, "catalogue"),
        ("list_catalogs", {"cursor": "not one"}, "cursor"),
        ("get_operation", {"operation_id": "x"}, "catalog_id"),
    ],
)
def test_problem_names_the_argument_when_it_cannot_be_used(
    agent: _Agent, tool: str, arguments: dict[str, Any], field: str
) -> None:
    assert f"{field}: " in agent.problem(tool, **arguments)


def test_published_operations_are_read_while_a_newer_document_is_embedded(
    agent: _Agent, engine: Engine, library: Gateway, crm: str
) -> None:
    newer = json.loads(json.dumps(_LOANS).replace("Give a book back", "Hand a book in"))
    body = gzip.compress(json.dumps(newer).encode())
    library.call("PUT", f"{crm}/specs/library/upload", body, headers={"Content-Type": "application/gzip"})
    named = {"catalog_id": "crm", "spec_name": "library", "operation_id": "returnLoan"}

    assert agent.result("get_operation", **named)["summary"] == "Give a book back"
    engine.worker().handle()
    assert agent.result("get_operation", **named)["summary"] == "Hand a book in"


# The request that carries a message.


def _post(gateway: Gateway, body: Any = _PING, **headers: str) -> Answer:
    return gateway.call("POST", "/mcp", body, headers={name.replace("_", "-"): text for name, text in headers.items()})


def test_message_is_answered_without_a_session(gateway: Gateway) -> None:
    answer = _post(gateway)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json == {"jsonrpc": "2.0", "id": 1, "result": {}}
    assert "mcp-session-id" not in answer.headers


def test_notification_is_taken_with_an_empty_answer(gateway: Gateway) -> None:
    answer = _post(gateway, {"jsonrpc": "2.0", "method": "notifications/initialized"})
    assert (answer.status, answer.body) == (202, b"")


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
def test_method_is_not_allowed_when_it_would_open_a_stream_or_end_a_session(gateway: Gateway, method: str) -> None:
    answer = Gateway(gateway.handler, key=gateway.key).call(method, "/mcp")
    assert (answer.status, answer.code, answer.headers["allow"]) == (405, "method_not_allowed", "POST")


@pytest.mark.parametrize("key", [None, "opdex_" + "A" * 43])
def test_message_is_refused_when_the_key_is_none(gateway: Gateway, key: str | None) -> None:
    answer = gateway.call("POST", "/mcp", _PING, key=key)
    assert (answer.status, answer.code) == (401, "unauthenticated")


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "null", "http://opdex.example.evil", "http://["])
def test_message_is_refused_when_a_page_from_elsewhere_sends_it(gateway: Gateway, origin: str) -> None:
    answer = _post(gateway, origin=origin, host="opdex.example")
    assert (answer.status, answer.code) == (403, "forbidden")


def test_message_is_answered_when_a_page_of_the_same_address_sends_it(gateway: Gateway) -> None:
    assert _post(gateway, origin="https://opdex.example", host="opdex.example").status == 200


def test_body_is_refused_when_it_is_no_json_by_its_type(gateway: Gateway) -> None:
    answer = _post(gateway, json.dumps(_PING), content_type="text/plain")
    assert (answer.status, answer.code) == (415, "unsupported_media_type")


def test_body_is_refused_when_it_is_too_large(gateway: Gateway) -> None:
    answer = _post(gateway, {**_PING, "params": {"x": "x" * 300_000}})
    assert (answer.status, answer.code) == (413, "too_large")


def test_error_is_of_the_protocol_when_the_message_is_wrong(gateway: Gateway) -> None:
    answer = _post(gateway, "{", content_type="application/json")
    assert (answer.status, answer.json["error"]["code"]) == (400, -32700)


def test_protocol_versions_are_named_when_the_header_has_an_unknown_one(gateway: Gateway) -> None:
    answer = _post(gateway, {"jsonrpc": "2.0", "method": "notifications/x"}, mcp_protocol_version="1999-01-01")
    assert (answer.status, answer.json["error"]["data"]["requested"]) == (400, "1999-01-01")


def test_document_is_not_read_again_when_its_operations_are_asked_for_in_turn(
    make_gateway: MakeGateway, library: Gateway, engine: Engine
) -> None:
    gateway = make_gateway()
    named = {"catalog_id": "crm", "spec_name": "library", "operation_id": "returnLoan"}
    asked = {**_PING, "method": "tools/call", "params": {"name": "get_operation", "arguments": named}}
    before = _post(gateway, asked).json["result"]
    engine.sql("UPDATE revisions SET content = ''")  # where it is read again, there is nothing any more
    assert _post(gateway, asked).json["result"] == before


def _away(texts: Sequence[str]) -> list[Vector]:
    raise ProviderUnavailable
