"""The Model Context Protocol over HTTP, without sessions or streams: a message in, an answer out.

Two eras are spoken. Up to 2025-11-25 a client begins with `initialize`, of which nothing is kept here, and errors come
with status 200. Since 2026-07-28 each request says by itself, in headers and in `_meta`, what it is.
"""

import base64
import binascii
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mcp_types import (
    CLIENT_CAPABILITIES_META_KEY,
    DEFAULT_NEGOTIATED_VERSION,
    HEADER_MISMATCH,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    PROTOCOL_VERSION_META_KEY,
    SERVER_INFO_META_KEY,
    UNSUPPORTED_PROTOCOL_VERSION,
    CallToolRequestParams,
    CallToolResult,
    DiscoverResult,
    EmptyResult,
    ErrorData,
    Implementation,
    InitializeRequestParams,
    InitializeResult,
    JSONRPCError,
    JSONRPCNotification,
    JSONRPCRequest,
    JSONRPCResponse,
    ListToolsResult,
    PaginatedRequestParams,
    RequestId,
    Result,
    ServerCapabilities,
    TextContent,
    ToolAnnotations,
    ToolsCapability,
)
from mcp_types import Tool as ListedTool
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, LATEST_HANDSHAKE_VERSION, MODERN_PROTOCOL_VERSIONS
from pydantic import BaseModel, ValidationError

from opdex.mcp.excerpt import json_bytes
from opdex.mcp.tools import Tool, ToolFailed

VERSION_HEADER: Final = "mcp-protocol-version"
_METHOD_HEADER: Final = "mcp-method"
_NAME_HEADER: Final = "mcp-name"
_SERVER: Final = Implementation(name="opdex", title="Opdex", version="1")
_INSTRUCTIONS: Final = (
    "Opdex knows the operations of HTTP APIs. Find one with search_operations by what it should do, then read with "
    "get_operation how to call it. Opdex itself calls none of them."
)
_CAPABILITIES: Final = ServerCapabilities(tools=ToolsCapability())
_LISTED_FOR_MS: Final = 300_000  # tools change with a deploy, and with nothing else
_READ_ONLY: Final = ToolAnnotations(
    read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)
# These two take several messages as a list, and of later ones none does.
_BATCHING_VERSIONS: Final = ("2024-11-05", "2025-03-26")
_MOST_IN_BATCH: Final = 20
_BATCH_BYTES: Final = 5_000_000  # after which no more is begun: a function may return 6 MB, and an answer takes 0.5
_BATCH_SECONDS: Final = 15.0  # after which no more is begun: the gateway waits 29 s, and a search may take some
_ONLY_MODERN: Final = ("resultType", "ttlMs", "cacheScope")
_STATUS_OF: Final[dict[int, int]] = {METHOD_NOT_FOUND: 404}
_BASE64: Final = ("=?base64?", "?=")


@dataclass(frozen=True, slots=True)
class Exchange:
    """An HTTP status, and the JSON text that goes with it, "" for none."""

    status: int
    body: str = ""


class _Refused(Exception):
    """A request that is answered with an error of JSON-RPC."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.error = ErrorData(code=code, message=message, data=data)


class Server:
    """Answers messages by calling tools. Knows nothing of the messages before."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        self._tools = {tool.name: tool for tool in tools}

    def exchange(self, body: bytes, headers: Mapping[str, str]) -> Exchange:
        """Return the answer to the body of a POST; ``headers`` have names in lower case."""
        version = headers.get(VERSION_HEADER, DEFAULT_NEGOTIATED_VERSION)
        try:
            sent = json.loads(body)
        except (ValueError, RecursionError):
            return _refusal(None, ErrorData(code=PARSE_ERROR, message="The body is no JSON that can be read."))
        if version not in HANDSHAKE_PROTOCOL_VERSIONS:
            return self._modern(sent, version, headers)
        if isinstance(sent, list) and version in _BATCHING_VERSIONS:
            return self._batch(sent)
        return self._single(sent)

    def _single(self, sent: Any) -> Exchange:
        try:
            answer = self._answer(sent)
        except _Refused as refused:
            return _refusal(None, refused.error)
        return Exchange(202) if answer is None else Exchange(200, _text(answer))

    def _batch(self, sent: list[Any]) -> Exchange:
        if not 0 < len(sent) <= _MOST_IN_BATCH:
            message = f"A batch has 1 to {_MOST_IN_BATCH} messages."
            return _refusal(None, ErrorData(code=INVALID_REQUEST, message=message))
        ends_at = time.monotonic() + _BATCH_SECONDS
        answers: list[str] = []
        size = 0
        for message in sent:
            spent = None
            if time.monotonic() > ends_at:
                spent = "The messages before took too long."
            elif size > _BATCH_BYTES:
                spent = "The answers before are as long as one batch may bring."
            answer = self._answer_in_batch(message, spent)
            if answer is not None:
                answers.append(_text(answer))
                size += json_bytes(answers[-1])  # as it leaves the function: text within JSON
        return Exchange(200, f"[{','.join(answers)}]") if answers else Exchange(202)

    def _answer_in_batch(self, sent: Any, spent: str | None) -> JSONRPCResponse | JSONRPCError | None:
        """Return the answer as ``_answer`` does, also to what is no message: the others are not to blame for it."""
        try:
            return self._answer(sent, spent)
        except _Refused as refused:
            return JSONRPCError(jsonrpc="2.0", id=None, error=refused.error)

    def _answer(self, sent: Any, spent: str | None = None) -> JSONRPCResponse | JSONRPCError | None:
        """Return the answer to a message of the first era, None where it wants none. Raises _Refused for no message.

        ``spent`` says what those before it have used up: then the answer is that error.
        """
        if isinstance(sent, dict) and "id" in sent and "method" not in sent and ("result" in sent or "error" in sent):
            return None  # an answer; nothing was asked
        request = _read_message(sent)
        if request is None:
            return None
        params = request.params or {}
        try:
            if spent is not None:
                raise _Refused(INTERNAL_ERROR, f"{spent} Send this one again, alone.")
            match request.method:
                case "initialize":
                    result: Result = self._initialize(params)
                case "ping":
                    result = EmptyResult()
                case _:
                    result = self._result(request.method, params)
        except _Refused as refused:
            return JSONRPCError(jsonrpc="2.0", id=request.id, error=refused.error)
        wire = {name: value for name, value in _dumped(result).items() if name not in _ONLY_MODERN}
        return JSONRPCResponse(jsonrpc="2.0", id=request.id, result=wire)

    def _modern(self, sent: Any, version: str, headers: Mapping[str, str]) -> Exchange:
        request_id: RequestId | None = None
        try:
            request = _read_message(sent)
            if request is None:
                _require_known(version)
                return Exchange(202)
            request_id, params = request.id, request.params or {}
            _check_envelope(request.method, params, version, headers)
            result = self._discover() if request.method == "server/discover" else self._result(request.method, params)
        except _Refused as refused:
            return _refusal(request_id, refused.error)
        named = {SERVER_INFO_META_KEY: _dumped(_SERVER)}
        wire = {**_dumped(result), "resultType": "complete", "_meta": named}
        return Exchange(200, _text(JSONRPCResponse(jsonrpc="2.0", id=request.id, result=wire)))

    def _result(self, method: str, params: dict[str, Any]) -> Result:
        match method:
            case "tools/list":
                return self._list_tools(_read(PaginatedRequestParams, params))
            case "tools/call":
                return self._call_tool(_read(CallToolRequestParams, params))
        raise _Refused(METHOD_NOT_FOUND, f"This server has no method {method!r}; it has tools.")

    def _initialize(self, params: dict[str, Any]) -> InitializeResult:
        asked = _read(InitializeRequestParams, params).protocol_version
        return InitializeResult(
            protocol_version=asked if asked in HANDSHAKE_PROTOCOL_VERSIONS else LATEST_HANDSHAKE_VERSION,
            capabilities=_CAPABILITIES,
            server_info=_SERVER,
            instructions=_INSTRUCTIONS,
        )

    def _discover(self) -> DiscoverResult:
        return DiscoverResult(
            supported_versions=[*MODERN_PROTOCOL_VERSIONS],
            capabilities=_CAPABILITIES,
            instructions=_INSTRUCTIONS,
            ttl_ms=_LISTED_FOR_MS,
        )

    def _list_tools(self, params: PaginatedRequestParams) -> ListToolsResult:
        if params.cursor is not None:
            raise _Refused(INVALID_PARAMS, "There is one page of tools, and it has no cursor.")
        listed = [
            ListedTool(
                name=tool.name,
                title=tool.title,
                description=tool.description,
                input_schema=tool.arguments.model_json_schema(),
                output_schema=tool.result.model_json_schema(mode="serialization"),
                annotations=_READ_ONLY,
            )
            for tool in self._tools.values()
        ]
        return ListToolsResult(tools=listed, ttl_ms=_LISTED_FOR_MS)

    def _call_tool(self, params: CallToolRequestParams) -> CallToolResult:
        tool = self._tools.get(params.name)
        if tool is None:
            raise _Refused(INVALID_PARAMS, f"Unknown tool {params.name!r}; there are {', '.join(self._tools)}.")
        try:
            result = tool.call(params.arguments or {})
        except ToolFailed as failed:
            return CallToolResult(content=[TextContent(text=str(failed))], is_error=True)
        text = json.dumps(result, ensure_ascii=False, separators=(",", ":"))
        return CallToolResult(content=[TextContent(text=text)], structured_content=result)


def _read_message(sent: Any) -> JSONRPCRequest | None:
    """Return the request, or None for a notification. Raises _Refused for anything else."""
    try:
        if isinstance(sent, dict) and "id" not in sent:
            JSONRPCNotification.model_validate(sent)
            return None
        return JSONRPCRequest.model_validate(sent)
    except ValidationError:
        raise _Refused(INVALID_REQUEST, "The body is no request or notification of JSON-RPC 2.0.") from None


def _check_envelope(method: str, params: dict[str, Any], version: str, headers: Mapping[str, str]) -> None:
    """Hold a request's headers to its body, so that whoever routes by headers sees what is done. Raises _Refused."""
    meta = params.get("_meta")
    keys = (PROTOCOL_VERSION_META_KEY, CLIENT_CAPABILITIES_META_KEY)
    if not isinstance(meta, dict) or any(key not in meta for key in keys):
        _require_known(version)  # a request of the first era says nothing of itself: what is wrong is the header
        raise _Refused(INVALID_PARAMS, f"params._meta must have {' and '.join(keys)}.")
    expected = {VERSION_HEADER: meta[PROTOCOL_VERSION_META_KEY], _METHOD_HEADER: method}
    if method == "tools/call":
        expected[_NAME_HEADER] = params.get("name")
    for name, value in expected.items():
        if value is not None and _decoded(headers.get(name)) != value:
            raise _Refused(HEADER_MISMATCH, f"The header {name} does not say what the body says.")
    _require_known(version)


def _require_known(version: str) -> None:
    if version not in MODERN_PROTOCOL_VERSIONS:
        # The client may go on with `initialize`, which it does not where only later versions are named.
        supported = [*HANDSHAKE_PROTOCOL_VERSIONS, *MODERN_PROTOCOL_VERSIONS]
        data = {"supported": supported, "requested": version}
        raise _Refused(UNSUPPORTED_PROTOCOL_VERSION, "Unsupported protocol version", data)


def _decoded(header: str | None) -> str | None:
    """Return what a header says; what a header cannot carry comes as base64 in marks."""
    begin, end = _BASE64
    if header is None or not (header.startswith(begin) and header.endswith(end)):
        return header
    try:
        return base64.b64decode(header[len(begin) : -len(end)], validate=True).decode()
    except (binascii.Error, ValueError):
        return None


def _read[M: BaseModel](model: type[M], params: dict[str, Any]) -> M:
    try:
        return model.model_validate(params, by_name=False)
    except ValidationError as error:
        fields = ", ".join(".".join(map(str, problem["loc"])) for problem in error.errors())
        raise _Refused(INVALID_PARAMS, f"The params are not usable: {fields}.") from None


def _refusal(request_id: RequestId | None, error: ErrorData) -> Exchange:
    return Exchange(_STATUS_OF.get(error.code, 400), _text(JSONRPCError(jsonrpc="2.0", id=request_id, error=error)))


def _dumped(model: BaseModel) -> dict[str, Any]:
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


def _text(message: JSONRPCResponse | JSONRPCError) -> str:
    if isinstance(message, JSONRPCError):
        # An id of null says that none could be read, and has to be there.
        return _json({**_dumped(message), "id": message.id})
    return _json(message.model_dump(mode="json"))


def _json(message: dict[str, Any]) -> str:
    """Return the message in JSON; half a surrogate pair, which a client's id may hold, stays the escape that it was."""
    text = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace").decode()
