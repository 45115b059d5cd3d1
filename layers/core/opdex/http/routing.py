"""How a route is declared: its path, the role it asks for, and everything that /openapi.json says about it."""

from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, cast, get_type_hints

from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.openapi.types import OpenAPIResponse
from pydantic import BaseModel

from opdex.errors import (
    DatabaseUnavailable,
    Forbidden,
    MalformedRequest,
    OpdexError,
    Unauthenticated,
    UnsupportedMediaType,
)
from opdex.http.error_map import ErrorAnswer, status_of
from opdex.roles import Role

BASE_PATH: Final = "/api/v1/admin"

# Where a route's role is kept: /openapi.json shows it, and authentication reads it from there.
ROLE_EXTENSION: Final = "x-required-role"

_KEYED: Final[tuple[type[OpdexError], ...]] = (Unauthenticated, Forbidden, DatabaseUnavailable)


class Routes(Router):
    """The routes of one area. Each is declared by :meth:`endpoint`, so none can be without a decision on its role."""

    def __init__(self, tag: str, base_path: str = BASE_PATH) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.base_path = base_path
        self._tag = tag

    def endpoint[F: Callable[..., Any]](
        self,
        method: Literal["GET", "POST", "PUT", "DELETE"],
        path: str,
        *,
        role: Role | None,
        answers: dict[int, str],
        errors: Sequence[type[OpdexError]] = (),
        media_type: str | None = None,
        request_body: dict[str, Any] | None = None,
        empty_answers: Sequence[int] = (204,),
        answer_schema: dict[str, Any] | None = None,
        error_schema: dict[str, Any] | None = None,
        documented: bool = True,
    ) -> Callable[[F], F]:
        """Register a route; ``role`` None makes it open. The first line of the function's docstring is its summary.

        ``answers`` describes each successful status; ``media_type`` is that of an answer which the function writes by
        itself, ``answer_schema`` what that looks like, where it is not one object or one text; ``request_body``
        describes a body that the function reads by itself; ``empty_answers`` are the statuses that come without one;
        ``error_schema`` is what errors look like, where that is not the one shape alone.
        """

        def register(function: F) -> F:
            summary, _, description = (function.__doc__ or "").strip().partition("\n")
            extensions: dict[str, Any] = {"security": []} if role is None else {ROLE_EXTENSION: role}
            if request_body is not None:
                extensions["requestBody"] = request_body
            self.route(
                path,
                method,
                summary=summary.rstrip("."),
                description=" ".join(description.split()) or None,
                operation_id=function.__name__,
                tags=[self._tag],
                status_code=min(answers),
                responses=_successes(answers, media_type, answer_schema, empty_answers)
                | _failures((*errors, *_errors_of_body(function), *(_KEYED if role else ())), error_schema),
                openapi_extensions=extensions,
                include_in_schema=documented,
            )(function)
            return function

        return register


def _errors_of_body(function: Callable[..., Any]) -> tuple[type[OpdexError], ...]:
    taken = [kind for name, kind in get_type_hints(function).items() if name != "return"]
    reads_json = any(isinstance(kind, type) and issubclass(kind, BaseModel) for kind in taken)
    return (UnsupportedMediaType,) if reads_json else ()


def _successes(
    answers: dict[int, str],
    media_type: str | None,
    answer_schema: dict[str, Any] | None,
    empty_answers: Sequence[int],
) -> dict[int, OpenAPIResponse]:
    responses: dict[int, OpenAPIResponse] = {}
    for status, meaning in answers.items():
        responses[status] = {"description": meaning}
        if status in empty_answers:
            responses[status]["content"] = {}
        elif media_type is not None:
            plain = {"type": "object" if media_type == "application/json" else "string"}
            responses[status]["content"] = {media_type: {"schema": answer_schema or plain}}
    return responses


def _failures(errors: Sequence[type[OpdexError]], schema: dict[str, Any] | None) -> dict[int, OpenAPIResponse]:
    meanings: dict[int, list[str]] = {}
    listed: tuple[type[OpdexError], ...] = (MalformedRequest, *errors, OpdexError)
    for error in dict.fromkeys(listed):
        meanings.setdefault(status_of(error), []).append(f"`{error.code}`: {(error.__doc__ or '').splitlines()[0]}")
    content = {"model": ErrorAnswer} if schema is None else {"schema": schema}
    responses = {
        status: {"description": "  \n".join(lines), "content": {"application/json": content}}
        for status, lines in sorted(meanings.items())
    }
    return cast(dict[int, OpenAPIResponse], responses)
