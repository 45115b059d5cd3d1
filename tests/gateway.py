"""API Gateway as the tests have it: HTTP in, a REST proxy event to a handler, HTTP out, with Lambda's limits."""

import base64
import json
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from local.build import TEMPLATE
from local.template import read_template
from opdex.http.app import Api
from opdex.http.context import ApiContext
from opdex.http.route_table import all_routes

type Handler = Callable[[dict[str, Any], Any], dict[str, Any]]

MAX_PAYLOAD_BYTES = 6 * 1024 * 1024
_API = read_template(TEMPLATE)["Resources"]["Api"]["Properties"]
BINARY_MEDIA_TYPES = tuple(_API["BinaryMediaTypes"])
_PATHS: dict[str, Any] = _API["DefinitionBody"]["paths"]


def whole_service(context: ApiContext) -> Api:
    """Return all functions of the API in one."""
    return Api(context, all_routes(context))


def leading_to(handlers: Mapping[str, Handler]) -> Handler:
    """Return what hands an event to one of these handlers: the function's that the template's gateway calls."""

    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        return handlers[function_of(event["httpMethod"], event["resource"])](event, context)

    return handler


def function_of(method: str, resource: str) -> str:
    """Return which function the gateway calls; one that takes GET judges those that the gateway itself would refuse."""
    operation = _PATHS[resource].get(method.lower()) or _PATHS[resource]["get"]
    called: str = operation["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"]
    return called.rpartition("${")[2].partition(".")[0]


def _resource_of(path: str) -> tuple[str, dict[str, str] | None]:
    if path in _PATHS:
        return path, None
    greedy = ((known, known.removesuffix("{proxy+}")) for known in _PATHS if known.endswith("{proxy+}"))
    resource, beginning = max((pair for pair in greedy if f"/{path.lstrip('/')}".startswith(pair[1])), key=len)
    return resource, {"proxy": path.removeprefix(beginning)}


class PayloadRefusedError(AssertionError):
    """An answer that Lambda would refuse."""


class RequestRefusedError(PayloadRefusedError):
    """A request that Lambda would refuse, so that no handler sees it."""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of an error."""
        return str(self.json["error"]["code"])


class LambdaContext:
    """What a handler is told about its invocation."""

    function_name = "api"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:eu-central-1:000000000000:function:api"

    def __init__(self) -> None:
        self.aws_request_id = str(uuid.uuid4())

    def get_remaining_time_in_millis(self) -> int:
        """All the time that a gateway's integration has."""
        return 29_000


class Gateway:
    """A REST API in front of a handler. ``base_path`` is that of a custom domain, which `path` in the event keeps."""

    def __init__(self, handler: Handler, *, key: str | None = None, stage: str = "v1", base_path: str = "") -> None:
        self.handler = handler
        self.key = key
        self.stage = stage
        self.base_path = base_path

    def call(
        self,
        method: str,
        path: str,
        body: bytes | str | Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        key: str | None = "",
    ) -> Answer:
        """Send a request; ``key`` replaces the gateway's own, None sends none. A mapping is sent as JSON."""
        sent = {name.lower(): value for name, value in (headers or {}).items()}
        if isinstance(body, Mapping):
            body = json.dumps(body)
            sent.setdefault("content-type", "application/json")
        if (key := self.key if key == "" else key) is not None:
            sent["x-api-key"] = key
        raw = body.encode() if isinstance(body, str) else body or b""
        event = proxy_event(method, path, raw, sent, stage=self.stage, base_path=self.base_path)
        _check_size("request", event)
        answer = self.handler(event, LambdaContext())
        _check_size("answer", answer)
        return _read(answer, sent.get("accept", ""))


def proxy_event(
    method: str,
    path: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    *,
    stage: str = "v1",
    base_path: str = "",
) -> dict[str, Any]:
    """Return the event of the template's REST API."""
    headers = {name.lower(): value for name, value in (headers or {}).items()}
    parts = urlsplit(path)
    route = unquote(parts.path) or "/"
    query = parse_qs(parts.query, keep_blank_values=True)
    binary = _is_binary(headers.get("content-type", ""))
    resource, path_parameters = _resource_of(route)
    request_id = str(uuid.uuid4())
    return {
        "resource": resource,
        "path": base_path + route,
        "httpMethod": method,
        "headers": dict(headers),
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
        "multiValueQueryStringParameters": query or None,
        "pathParameters": path_parameters,
        "stageVariables": None,
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "test",
            "httpMethod": method,
            "identity": {"sourceIp": "127.0.0.1", "userAgent": headers.get("user-agent", "")},
            "path": (base_path or f"/{stage}") + route,
            "protocol": "HTTP/1.1",
            "requestId": request_id,
            "resourceId": "test",
            "resourcePath": resource,
            "stage": stage,
        },
        "body": (base64.b64encode(body).decode() if binary else body.decode("utf-8", "replace")) or None,
        "isBase64Encoded": binary and bool(body),
    }


@contextmanager
def serving(handler: Handler, *, prefix: str = "/v1", base_path: str = "") -> Iterator[str]:
    """Serve a handler on a free loopback port, below ``prefix`` as below a stage; yields the address."""
    gateway = Gateway(handler, base_path=base_path)
    one_at_a_time = threading.Lock()  # as in one Lambda environment

    class Connection(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            if self.path != prefix and not self.path.startswith((f"{prefix}/", f"{prefix}?")):
                self.send_error(404)
                return
            with one_at_a_time:
                path = self.path.removeprefix(prefix) or "/"
                answer = gateway.call(self.command, path, body, headers=dict(self.headers.items()))
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def __getattr__(self, name: str) -> Any:
            # The server looks for `do_` and the method: each is the handler's to judge, as behind API Gateway.
            if not name.startswith("do_"):
                raise AttributeError(name)
            return self.answer

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Connection) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}{prefix}"
        finally:
            server.shutdown()
            thread.join()


def _read(answer: dict[str, Any], accept: str) -> Answer:
    body = answer.get("body") or ""
    assert isinstance(answer["statusCode"], int)
    assert isinstance(body, str), "a proxy answer's body is text"
    raw = body.encode()
    # The gateway turns base64 back into bytes only for a client that asks for a binary media type.
    if answer.get("isBase64Encoded") and _is_binary(accept.partition(",")[0]):
        raw = base64.b64decode(body)
    headers = {name.lower(): str(value) for name, value in (answer.get("headers") or {}).items()}
    for name, values in (answer.get("multiValueHeaders") or {}).items():
        headers[name.lower()] = ", ".join(values)
    return Answer(answer["statusCode"], headers, raw)


def _is_binary(media_type: str) -> bool:
    media_type = media_type.partition(";")[0].strip().lower()
    return bool(media_type) and ("*/*" in BINARY_MEDIA_TYPES or media_type in BINARY_MEDIA_TYPES)


def _check_size(what: str, payload: dict[str, Any]) -> None:
    size = len(json.dumps(payload, ensure_ascii=False).encode())
    if size > MAX_PAYLOAD_BYTES:
        refused = RequestRefusedError if what == "request" else PayloadRefusedError
        raise refused(f"The {what} has {size} bytes; Lambda takes {MAX_PAYLOAD_BYTES}.")
