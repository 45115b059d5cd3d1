"""The protocol: what is answered to which message, by the rules of each of its versions."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS
from pydantic import BaseModel, ConfigDict

from opdex.errors import CatalogNotFound
from opdex.http.answer_size import MAX_PAYLOAD_BYTES, payload_bytes
from opdex.mcp.server import Server
from opdex.mcp.tools import Tool

_MODERN = MODERN_PROTOCOL_VERSIONS[-1]


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")

    word: str


class _Result(BaseModel):
    said: str | None


def _say(asked: _Arguments) -> _Result:
    if asked.word == "missing":
        raise CatalogNotFound("No catalog 'missing'.")
    return _Result(said=None if asked.word == "nothing" else asked.word)


@pytest.fixture
def server() -> Server:
    return Server([Tool("say", "Say", "Say a word.", _Arguments, _Result, _say)])


def _message(method: str, params: Any = None, **more: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method} | ({} if params is None else {"params": params}) | more


def _call(word: Any, **more: Any) -> dict[str, Any]:
    return _message("tools/call", {"name": "say", "arguments": {"word": word}, **more})


def _sent(server: Server, message: Any, headers: Mapping[str, str] | None = None) -> tuple[int, Any]:
    answer = server.exchange(json.dumps(message).encode(), headers or {})
    return answer.status, json.loads(answer.body) if answer.body else None


def _sent_modern(server: Server, message: dict[str, Any], **replaced: str) -> tuple[int, Any]:
    """Send a message as a client of the second era does, but for the headers that are replaced."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": _MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"_meta": meta, **message.get("params", {})}
    headers = {"mcp-protocol-version": _MODERN, "mcp-method": message["method"], "mcp-name": params.get("name", "")}
    return _sent(server, {**message, "params": params}, headers | {k.replace("_", "-"): v for k, v in replaced.items()})


# The first era.


@pytest.mark.parametrize("version", HANDSHAKE_PROTOCOL_VERSIONS)
def test_initialize_agrees_on_the_version_when_it_is_known(server: Server, version: str) -> None:
    client = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
    status, answer = _sent(server, _message("initialize", client))
    assert status == 200
    assert answer["id"] == 1
    result = answer["result"]
    assert result["protocolVersion"] == version
    assert result["capabilities"] == {"tools": {}}
    assert result["serverInfo"]["name"] == "opdex"
    assert "search_operations" in result["instructions"]


def test_initialize_offers_the_newest_when_the_version_is_unknown(server: Server) -> None:
    client = {"protocolVersion": "1999-01-01", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
    _, answer = _sent(server, _message("initialize", client))
    assert answer["result"]["protocolVersion"] == HANDSHAKE_PROTOCOL_VERSIONS[-1]


def test_tools_are_listed_with_their_schemas_and_as_reading_only(server: Server) -> None:
    status, answer = _sent(server, _message("tools/list"))
    (tool,) = answer["result"].pop("tools")
    assert (status, answer["result"]) == (200, {})
    assert (tool["name"], tool["description"]) == ("say", "Say a word.")
    assert tool["inputSchema"]["required"] == ["word"]
    assert tool["inputSchema"]["additionalProperties"] is False
    assert tool["outputSchema"]["type"] == "object"
    assert tool["annotations"]["readOnlyHint"] is True
    assert tool["annotations"]["openWorldHint"] is False


@pytest.mark.parametrize("word", ["ho", "nothing"])
def test_result_is_there_as_text_and_as_json_when_a_tool_is_called(server: Server, word: str) -> None:
    status, answer = _sent(server, _call(word))
    result = answer["result"]
    assert status == 200
    assert result["isError"] is False
    assert result["structuredContent"] == {"said": None if word == "nothing" else word}
    assert json.loads(result["content"][0]["text"]) == result["structuredContent"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [({}, "word: Field required"), ({"word": 1}, "word: "), ({"word": "a", "wrod": "b"}, "wrod: "), (None, "word")],
)
def test_result_is_an_error_that_names_the_field_when_arguments_are_wrong(
    server: Server, arguments: Any, said: str
) -> None:
    status, answer = _sent(server, _message("tools/call", {"name": "say", "arguments": arguments}))
    assert (status, answer["result"]["isError"]) == (200, True)
    assert said in answer["result"]["content"][0]["text"]
    assert "structuredContent" not in answer["result"]


def test_result_is_an_error_that_says_what_to_do_when_something_is_not_there(server: Server) -> None:
    _, answer = _sent(server, _call("missing"))
    assert answer["result"]["isError"] is True
    text = answer["result"]["content"][0]["text"]
    assert text == "No catalog 'missing'. list_catalogs gives the ids that there are."


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (_message("tools/call", {"name": "shout"}), -32602),
        (_message("tools/call", {"arguments": {}}), -32602),
        (_message("tools/call", {"name": "say", "arguments": []}), -32602),
        (_message("tools/list", {"cursor": "more"}), -32602),
        (_message("initialize", {}), -32602),
        (_message("resources/list"), -32601),
        (_message("server/discover"), -32601),
    ],
)
def test_error_is_of_the_protocol_when_a_request_cannot_be_carried_out(
    server: Server, message: dict[str, Any], code: int
) -> None:
    status, answer = _sent(server, message)
    assert (status, answer["id"], answer["error"]["code"]) == (200, 1, code)


def test_unknown_tool_is_answered_with_those_that_there_are(server: Server) -> None:
    _, answer = _sent(server, _message("tools/call", {"name": "shout"}))
    assert answer["error"]["message"] == "Unknown tool 'shout'; there are say."


@pytest.mark.parametrize(
    "message",
    [
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}},
        {"jsonrpc": "2.0", "id": 7, "result": {}},
        {"jsonrpc": "2.0", "id": 7, "error": {"code": 1, "message": "no"}},
    ],
)
def test_message_is_taken_without_an_answer_when_it_wants_none(server: Server, message: dict[str, Any]) -> None:
    assert _sent(server, message) == (202, None)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b"[" * 200_000, b"1" * 10_000, b'{"jsonrpc": "2.0", "id": 1, "method": "ping"']
)
def test_body_is_refused_when_it_is_no_json(server: Server, body: bytes) -> None:
    answer = server.exchange(body, {})
    assert (answer.status, json.loads(answer.body)["error"]["code"]) == (400, -32700)


@pytest.mark.parametrize(
    "message",
    [
        1,
        "ping",
        None,
        {},
        {"jsonrpc": "1.0", "id": 1, "method": "ping"},
        {"jsonrpc": "2.0", "id": None, "method": "ping"},
        {"jsonrpc": "2.0", "id": 1.5, "method": "ping"},
        {"jsonrpc": "2.0", "id": 1, "method": 1},
        {"jsonrpc": "2.0", "id": 1, "method": "ping", "params": []},
        {"jsonrpc": "2.0", "params": {}},
    ],
)
def test_message_is_refused_when_it_is_none_of_json_rpc(server: Server, message: Any) -> None:
    status, answer = _sent(server, message)
    assert (status, answer["id"], answer["error"]["code"]) == (400, None, -32600)


def test_id_comes_back_as_it_was_sent(server: Server) -> None:
    for sent in (0, -5, "", "a", 2**70, "half a pair: \ud800"):
        assert _sent(server, _message("ping", id=sent)) == (200, {"jsonrpc": "2.0", "id": sent, "result": {}})


@pytest.mark.parametrize("headers", [{}, {"mcp-protocol-version": "2025-03-26"}])
def test_batch_is_answered_in_its_order_when_the_version_has_them(server: Server, headers: dict[str, str]) -> None:
    notification = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    status, answers = _sent(server, [_message("ping", id=2), notification, _call("ho")], headers)
    assert status == 200
    assert [answer["id"] for answer in answers] == [2, 1]
    assert _sent(server, [notification], headers) == (202, None)


@pytest.mark.parametrize("batch", [[], [_message("ping")] * 21])
def test_batch_is_refused_when_it_is_empty_or_long(server: Server, batch: list[Any]) -> None:
    status, answer = _sent(server, batch)
    assert (status, answer["error"]["code"]) == (400, -32600)


@pytest.mark.parametrize("wrong", [None, 1, [], {"id": 2}, {"jsonrpc": "2.0", "id": 2, "method": 1}])
def test_rest_of_a_batch_is_answered_when_one_of_it_is_no_message(server: Server, wrong: Any) -> None:
    status, answers = _sent(server, [_call("ho") | {"id": 7}, wrong, _message("ping", id=8)])
    assert status == 200
    assert [answer["id"] for answer in answers] == [7, None, 8]
    assert answers[1]["error"]["code"] == -32600
    assert answers[0]["result"]["structuredContent"] == {"said": "ho"}


def test_rest_of_a_batch_is_to_be_sent_again_when_it_takes_too_long(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opdex.mcp.server.time.monotonic", iter([0.0, 10.0, 20.0]).__next__)
    status, (first, second) = _sent(server, [_call("ho"), _call("ho", id=2)])
    assert status == 200
    assert "result" in first
    assert second["error"] == {
        "code": -32603,
        "message": "The messages before took too long. Send this one again, alone.",
    }


def test_rest_of_a_batch_is_to_be_sent_again_when_the_answers_before_are_long(server: Server) -> None:
    # Quotes grow most on the way: the answer is text in the gateway's own JSON.
    status, answers = _sent(server, [_call('"' * 60_000) | {"id": number} for number in range(20)])
    assert status == 200
    assert [answer["id"] for answer in answers] == [*range(20)]
    refused = next(number for number, answer in enumerate(answers) if "error" in answer)
    assert all("result" in answer for answer in answers[:refused])
    message = "The answers before are as long as one batch may bring. Send this one again, alone."
    assert [answer["error"] for answer in answers[refused:]] == [{"code": -32603, "message": message}] * (20 - refused)
    assert 4_000_000 < payload_bytes(json.dumps(answers, ensure_ascii=False)) < MAX_PAYLOAD_BYTES


def test_batch_is_refused_when_the_version_has_none(server: Server) -> None:
    status, answer = _sent(server, [_message("ping")], {"mcp-protocol-version": "2025-06-18"})
    assert (status, answer["error"]["code"]) == (400, -32600)


# The second era.


def test_discovery_names_the_versions_when_it_is_asked(server: Server) -> None:
    status, answer = _sent_modern(server, _message("server/discover"))
    result = answer["result"]
    assert status == 200
    assert result["supportedVersions"] == list(MODERN_PROTOCOL_VERSIONS)
    assert result["resultType"] == "complete"
    assert result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "opdex"


def test_tool_is_called_when_headers_and_body_agree(server: Server) -> None:
    status, answer = _sent_modern(server, _call("ho"))
    assert (status, answer["result"]["structuredContent"]) == (200, {"said": "ho"})
    assert answer["result"]["resultType"] == "complete"
    assert _sent_modern(server, _call("ho"), mcp_name="=?base64?c2F5?=")[0] == 200


def test_tools_may_be_kept_for_a_while_when_they_are_listed(server: Server) -> None:
    _, answer = _sent_modern(server, _message("tools/list"))
    assert answer["result"]["ttlMs"] > 0
    assert answer["result"]["cacheScope"] == "private"


@pytest.mark.parametrize(
    "header",
    [
        {"mcp_protocol_version": "2099-01-01"},
        {"mcp_method": "tools/list"},
        {"mcp_name": "shout"},
        {"mcp_name": "=?base64?!?="},
        {"mcp_method": ""},
    ],
)
def test_request_is_refused_when_headers_and_body_differ(server: Server, header: dict[str, str]) -> None:
    status, answer = _sent_modern(server, _call("ho"), **header)
    assert (status, answer["id"], answer["error"]["code"]) == (400, 1, -32020)


def test_request_is_refused_when_it_says_nothing_of_itself(server: Server) -> None:
    status, answer = _sent_modern(server, _message("tools/list", {"_meta": {}}))
    assert (status, answer["error"]["code"]) == (400, -32602)


@pytest.mark.parametrize("version", ["2030-01-01", "newest"])
def test_versions_are_named_when_the_one_that_is_asked_for_is_unknown(server: Server, version: str) -> None:
    meta = {
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    message = _message("tools/list", {"_meta": meta})
    status, answer = _sent_modern(server, message, mcp_protocol_version=version)
    assert (status, answer["error"]["code"]) == (400, -32022)
    supported = [*HANDSHAKE_PROTOCOL_VERSIONS, *MODERN_PROTOCOL_VERSIONS]
    assert answer["error"]["data"] == {"supported": supported, "requested": version}

    notification = {"jsonrpc": "2.0", "method": "notifications/progress"}
    assert _sent(server, notification, {"mcp-protocol-version": version})[0] == 400
    assert _sent(server, notification, {"mcp-protocol-version": _MODERN}) == (202, None)


@pytest.mark.parametrize("version", ["1.0", "2099-01-01", ""])
@pytest.mark.parametrize("method", ["ping", "tools/list", "initialize"])
def test_versions_are_named_when_a_request_of_the_first_era_has_an_unknown_one(
    server: Server, version: str, method: str
) -> None:
    status, answer = _sent(server, _message(method), {"mcp-protocol-version": version})
    assert (status, answer["id"], answer["error"]["code"]) == (400, 1, -32022)
    assert answer["error"]["data"]["requested"] == version


@pytest.mark.parametrize(("method", "status"), [("initialize", 404), ("ping", 404), ("prompts/list", 404)])
def test_method_is_not_found_when_the_era_has_none_of_that_name(server: Server, method: str, status: int) -> None:
    answered, answer = _sent_modern(server, _message(method))
    assert (answered, answer["error"]["code"]) == (status, -32601)


def test_answer_is_refused_when_nothing_was_asked(server: Server) -> None:
    status, answer = _sent(server, {"jsonrpc": "2.0", "id": 7, "result": {}}, {"mcp-protocol-version": _MODERN})
    assert (status, answer["error"]["code"]) == (400, -32600)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


@given(
    message=st.fixed_dictionaries(
        {},
        optional={
            "jsonrpc": st.sampled_from(["2.0", "1.0"]),
            "id": _JSON,
            "method": st.sampled_from(["tools/call", "tools/list", "initialize"]) | _JSON,
            "params": st.fixed_dictionaries({}, optional={"name": st.just("say"), "arguments": _JSON, "_meta": _JSON})
            | _JSON,
        },
    ),
    version=st.sampled_from([*HANDSHAKE_PROTOCOL_VERSIONS, _MODERN, "other"]),
)
def test_answer_is_one_of_the_protocol_whatever_is_sent(message: dict[str, Any], version: str) -> None:
    server = Server([Tool("say", "Say", "Say a word.", _Arguments, _Result, _say)])
    status, answer = _sent(server, message, {"mcp-protocol-version": version})
    assert status in (200, 202, 400, 404)
    assert answer is None or answer.keys() in ({"jsonrpc", "id", "result"}, {"jsonrpc", "id", "error"})
