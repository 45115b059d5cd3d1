"""MCP: the service as language-model agents use it."""

from functools import cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent

from opdex.errors import Forbidden, NotFound, TooLarge, UnsupportedMediaType
from opdex.http.bodies import body_bytes, media_type
from opdex.http.context import ReadContext
from opdex.http.routing import Routes
from opdex.openapi.limits import Limits

if TYPE_CHECKING:
    from opdex.mcp import Server

_MOST_BYTES: Final = 256 * 1024
_ID: Final = [{"type": "integer"}, {"type": "string"}]
_ERROR: Final[dict[str, Any]] = {
    "description": "What is wrong with the request; or, as JSON-RPC says it, with the message in it.",
    "anyOf": [
        {"$ref": "#/components/schemas/ErrorAnswer"},
        {
            "type": "object",
            "properties": {
                "jsonrpc": {"type": "string", "enum": ["2.0"]},
                "id": {"anyOf": [*_ID, {"type": "null"}]},
                "error": {
                    "type": "object",
                    "properties": {"code": {"type": "integer"}, "message": {"type": "string"}},
                    "required": ["code", "message"],
                },
            },
            "required": ["jsonrpc", "id", "error"],
        },
    ],
}
_MESSAGE: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "jsonrpc": {"type": "string", "enum": ["2.0"]},
        "id": {"anyOf": _ID},
        "method": {"type": "string"},
        "params": {"anyOf": [{"type": "object"}, {"type": "null"}]},
    },
    "required": ["jsonrpc", "method"],
}
_BATCH: Final[dict[str, Any]] = {
    "description": "Several messages, in the versions up to 2025-03-26; each is answered for itself.",
    "type": "array",
    "items": {},
    "minItems": 1,
    "maxItems": 20,  # as the server has it, whose import is left to the first message
}
_BODY: Final[dict[str, Any]] = {
    "description": "A message of JSON-RPC 2.0, as the Model Context Protocol has them.",
    "required": True,
    "content": {"application/json": {"schema": {"anyOf": [_MESSAGE, _BATCH]}}},
}
_ANSWER: Final[dict[str, Any]] = {"anyOf": [{"type": "object"}, {"type": "array", "items": {"type": "object"}}]}


def mcp_routes(context: ReadContext) -> Routes:
    """Return the route for agents."""
    routes = Routes("MCP", base_path="")

    @cache
    def server() -> "Server":
        from opdex.mcp import Server, make_tools  # the protocol's models cost a cold start 130 ms

        tools = make_tools(context.database, lambda asked: context.searcher.search(asked), Limits.of(context.settings))
        return Server(tools)

    @routes.endpoint(
        "POST",
        "/mcp",
        role="reader",
        answers={200: "The answer to a request.", 202: "A notification was taken."},
        errors=(Forbidden, NotFound, TooLarge, UnsupportedMediaType),
        media_type="application/json",
        request_body=_BODY,
        empty_answers=(202,),
        answer_schema=_ANSWER,
        error_schema=_ERROR,
    )
    def exchange_message() -> Response[str]:
        """Speak the Model Context Protocol (streamable HTTP, stateless).

        The tools are `search_operations`, `get_operation` and `list_catalogs`. What is wrong with a message is said by
        an error of JSON-RPC.
        """
        event = routes.current_event
        assert isinstance(event, APIGatewayProxyEvent)  # noqa: S101 - the resolver reads no other kind
        headers = _headers(event)
        _refuse_foreign_pages(headers)
        if media_type(event) != "application/json":
            raise UnsupportedMediaType("Send one message of JSON-RPC as application/json.")
        body = body_bytes(event)
        if len(body) > _MOST_BYTES:
            raise TooLarge(f"A message has at most {_MOST_BYTES} bytes.", limit="message_bytes", value=_MOST_BYTES)
        answer = server().exchange(body, headers)
        return Response(answer.status, "application/json", answer.body)

    return routes


def _headers(event: APIGatewayProxyEvent) -> dict[str, str]:
    """Return the headers by their names in lower case; one that was sent twice says both, and so neither."""
    sent: dict[str, str] = {}
    for name, values in (event.raw_event.get("multiValueHeaders") or {}).items():
        sent[name.lower()] = ", ".join(value for value in values if value)
    return sent or {name.lower(): value for name, value in event.headers.items()}


def _refuse_foreign_pages(headers: dict[str, str]) -> None:
    """Raise Forbidden for what a browser sends on behalf of a page from elsewhere."""
    origin = headers.get("origin")
    if origin is not None and _host_of(origin) != headers.get("host"):
        raise Forbidden("Pages of other origins may not speak to this address.", origin=origin)


def _host_of(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None
