"""The API: one object that takes a gateway event and returns a gateway answer, whatever happens."""

import json
import re
from collections.abc import Iterable
from time import perf_counter
from typing import Any, Final

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.event_handler.middlewares import NextMiddleware
from aws_lambda_powertools.event_handler.middlewares.openapi_validation import OpenAPIRequestValidationMiddleware
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic_core import to_json

from opdex import errors
from opdex.errors import AnswerTooLarge, MalformedRequest, OpdexError
from opdex.http.answer_size import MAX_PAYLOAD_BYTES, payload_bytes
from opdex.http.authentication import authorize
from opdex.http.bodies import body_bytes, media_type
from opdex.http.changes import Call, under_way
from opdex.http.context import ReadContext
from opdex.http.error_map import ErrorAnswer, error_response
from opdex.http.keys_store import without_keys
from opdex.http.routing import ROLE_EXTENSION, Routes
from opdex.observability import described, log_context, logger, measure_request, sane_id

# An id that nothing can have is an id that was not found.
_NOT_FOUND: Final[dict[str, type[errors.NotFound]]] = {
    "catalog_id": errors.CatalogNotFound,
    "spec_name": errors.SpecNotFound,
    "job_id": errors.JobNotFound,
    "key_id": errors.KeyNotFound,
}
# Where a body is one of several kinds, the validator names the kind before the field.
_BODY_KINDS: Final = (["inline"], ["url"])
_PARAMETER: Final = re.compile(r"{(\w+)\+?}")
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}


class Api:
    """Answers gateway events on these routes. Each is authenticated, then validated, then run; no error gets past."""

    def __init__(self, context: ReadContext, served: Iterable[Routes]) -> None:
        self._context = context
        self._resolver = resolver = _Resolver(serializer=_serialize)
        resolver.use([self._authenticate, _Validation()])  # type: ignore[no-untyped-call]
        resolver.exception_handler(Exception)(self._answer_error)
        for routes in served:
            resolver.include_router(routes, prefix=routes.base_path)

    def __call__(self, event: dict[str, Any], lambda_context: LambdaContext) -> dict[str, Any]:
        """Return the answer to an API Gateway REST proxy event.

        What a request causes is logged under its X-Request-Id, where it has a sane one, or the gateway's id.
        """
        began = perf_counter()
        seconds_left = lambda_context.get_remaining_time_in_millis() / 1000
        gateway_id = str((event.get("requestContext") or {}).get("requestId", ""))
        request_id = _sent_request_id(event) or gateway_id
        with log_context(correlation_id=request_id, route=None), self._context.answering_within(seconds_left):
            answer = self._answer(event, lambda_context)
            answer["multiValueHeaders"]["X-Request-Id"] = [request_id]
            route, seconds = logger.get_current_keys().get("route") or "unknown", perf_counter() - began
            logger.info(
                "request",
                method=event.get("httpMethod"),
                path=without_keys(str(event.get("path"))),
                status=answer["statusCode"],
                duration_ms=round(seconds * 1000, 1),
                gateway_request_id=gateway_id,
            )
            measure_request(route, answer["statusCode"], seconds)
        return answer

    def _answer(self, event: dict[str, Any], lambda_context: LambdaContext) -> dict[str, Any]:
        try:
            answer = self._resolver.resolve({**event, "path": _path(event), **_query(event)}, lambda_context)
            if payload_bytes(answer) > MAX_PAYLOAD_BYTES:
                raise AnswerTooLarge
        except Exception as error:  # noqa: BLE001 - what the resolver itself stumbles over, written down here
            answer = self._bare_answer(error)
        headers = answer.setdefault("multiValueHeaders", {})
        for name, value in _HEADERS.items():
            headers.setdefault(name, [value])
        return answer

    def _authenticate(self, app: APIGatewayRestResolver, next_middleware: NextMiddleware) -> Response[Any]:
        route = app.context["_route"]
        for tag in route.tags:  # one, or none where the address is unknown
            logger.append_keys(route=str(tag).lower())
        extensions = route.openapi_extensions
        if extensions is None:  # only the resolver's own stand-in for an unknown address has none
            raise self._resolver.no_such_route()
        required = extensions.get(ROLE_EXTENSION)
        if required is None:
            return next_middleware(app)
        event = app.current_event
        caller = self._context.caller(event.raw_event)
        authorize(caller, required)
        with under_way(Call(caller, route.operation_id, event.path, event.request_context.request_id or "")):
            return next_middleware(app)

    def _answer_error(self, error: Exception) -> Response[ErrorAnswer]:
        known = _as_opdex_error(error, self._resolver.current_event.http_method)
        response = error_response(known)
        if response.status_code == 500:
            logger.error("request failed", errors=described(error))
        elif response.status_code > 500:
            logger.warning("request failed", error_code=known.code, errors=described(error))
        return response

    def _bare_answer(self, error: Exception) -> dict[str, Any]:
        logger.error("request failed", errors=described(error))
        response = error_response(error if isinstance(error, AnswerTooLarge) else OpdexError())
        return {
            "statusCode": response.status_code,
            "multiValueHeaders": {"Content-Type": ["application/json"]},
            "body": _serialize(response.body),
            "isBase64Encoded": False,
        }


class _Resolver(APIGatewayRestResolver):
    """Tells an unknown address from a known one that does not take the method."""

    def no_such_route(self) -> OpdexError:
        path = self.current_event.path
        allowed = {route.method for route in self._static_routes + self._dynamic_routes if route.rule.match(path)}
        return errors.MethodNotAllowed(allowed=sorted(allowed)) if allowed else errors.NotFound()


class _Validation(OpenAPIRequestValidationMiddleware):
    """Reads a JSON body by itself, so that no way of being malformed, or of naming its type, is an error of ours."""

    def _get_body(self, app: Any) -> dict[str, Any]:
        if media_type(app.current_event) not in ("", "application/json"):
            raise errors.UnsupportedMediaType("Send the body as application/json.")
        try:
            read = json.loads(body_bytes(app.current_event).decode("utf-8-sig"))
        except json.JSONDecodeError as error:
            raise MalformedRequest(f"The body is no JSON that can be read: {error}.") from None
        except (ValueError, RecursionError):
            problem = "it is not in UTF-8, nested too deep, or has a number of too many digits"
            raise MalformedRequest(f"The body is no JSON that can be read: {problem}.") from None
        if not isinstance(read, dict):
            raise MalformedRequest("The body must be a JSON object.")
        return read


def _as_opdex_error(error: Exception, method: str) -> OpdexError:
    if isinstance(error, OpdexError):
        return error
    if not isinstance(error, RequestValidationError):
        return OpdexError()
    fields: list[dict[str, str]] = []
    for problem in error.errors():
        place, *names = map(str, problem["loc"])
        names = names[1:] if names[:1] in _BODY_KINDS else names
        name = ".".join(names)
        # A name that a PUT would create is malformed; anything else at an impossible address is not there.
        if place == "path" and not (method == "PUT" and name == "spec_name"):
            return _NOT_FOUND[name]()
        fields.append({"in": place, "name": name, "problem": problem["msg"]})
    named = "; ".join(f"{field['name'] or field['in']}: {field['problem']}" for field in fields)
    return MalformedRequest(f"The request is malformed: {named}.", fields=fields)


def _sent_request_id(event: dict[str, Any]) -> str | None:
    headers = event.get("headers") or {}
    return sane_id(next((value for name, value in headers.items() if name.lower() == "x-request-id"), None))


def _path(event: dict[str, Any]) -> str:
    """Return the path below the stage and below the base path of a custom domain, which `path` still has."""
    resource, parameters = event.get("resource"), event.get("pathParameters") or {}
    if not isinstance(resource, str) or not resource.startswith("/"):
        return str(event.get("path") or "/")
    filled = _PARAMETER.sub(lambda name: str(parameters.get(name[1]) or ""), resource)
    return "/" + filled.lstrip("/")


def _query(event: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the query as the event has it, twice; a parameter without a value is an empty one, as in a URL."""
    single, multiple = event.get("queryStringParameters") or {}, event.get("multiValueQueryStringParameters") or {}
    return {
        "queryStringParameters": {name: value or "" for name, value in single.items()},
        "multiValueQueryStringParameters": {name: [v or "" for v in values] for name, values in multiple.items()},
    }


def _serialize(body: Any) -> str:
    return "" if body is None else to_json(body, inf_nan_mode="null").decode()
