"""Which status each error has, and the one shape in which all of them leave the service."""

from typing import Any, Final

from aws_lambda_powertools.event_handler import Response
from pydantic import BaseModel, Field

from opdex import errors
from opdex.errors import OpdexError
from opdex.observability import correlation_id

# Every class by name: a new one is placed by a decision, not by what it happens to inherit from.
STATUS_OF: Final[dict[type[OpdexError], int]] = {
    errors.OpdexError: 500,
    errors.MalformedRequest: 400,
    errors.SourceRefused: 400,
    errors.NotUrlSourced: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.CatalogNotFound: 404,
    errors.SpecNotFound: 404,
    errors.OperationNotFound: 404,
    errors.JobNotFound: 404,
    errors.KeyNotFound: 404,
    errors.MethodNotAllowed: 405,
    errors.Conflict: 409,
    errors.CatalogExists: 409,
    errors.JobHasEnded: 409,
    errors.JobIsOpen: 409,
    errors.JobHasSucceeded: 409,
    errors.FirstAdminKeyStays: 409,
    errors.SourceChanged: 409,
    errors.TooLarge: 413,
    errors.ContentTooLarge: 413,
    errors.UnsupportedMediaType: 415,
    errors.RangeNotSatisfiable: 416,
    errors.DocumentError: 422,
    errors.DocumentEmpty: 422,
    errors.DocumentUnreadable: 422,
    errors.ArchiveUnusable: 422,
    errors.NotOpenApi: 422,
    errors.UnsupportedVersion: 422,
    errors.DocumentTooComplex: 422,
    errors.SourceError: 502,
    errors.SourceFailed: 502,
    errors.SourceUnreachable: 502,
    errors.SourceTimeout: 502,
    errors.OutboundUnavailable: 502,
    errors.ProviderError: 502,
    errors.ProviderThrottled: 503,
    errors.ProviderUnavailable: 503,
    errors.ProviderTimeout: 503,
    errors.ProviderUnreached: 503,
    errors.ProviderFailed: 502,
    errors.ProviderMisbehaved: 502,
    errors.ProviderRefused: 502,
    errors.TextRejected: 502,
    errors.TextTooSlow: 502,
    errors.ConfigurationError: 500,
    errors.LeaseLost: 500,
    errors.DatabaseUnavailable: 503,
    errors.DatabaseFailed: 500,
    errors.SecretUnavailable: 503,
    errors.SliceBroke: 500,
    errors.TokenKeysUnavailable: 503,
    errors.QueueUnavailable: 503,
    errors.MalformedWakeUp: 500,
    errors.MigrationFailed: 500,
    errors.AnswerTooLarge: 500,
}

# A database that was paused takes about 15 s to wake; asking again every few seconds finds it soon after.
_RETRY_AFTER_SECONDS: Final = 5


class ErrorDetail(BaseModel):
    """What went wrong. ``code`` is stable; ``message`` says what to do; ``details`` depend on the code."""

    code: str
    message: str
    details: dict[str, Any] = Field(default_factory=dict)


class ErrorAnswer(BaseModel):
    """The shape of every error."""

    error: ErrorDetail


def status_of(error: type[OpdexError]) -> int:
    """Return the HTTP status of an error class."""
    return STATUS_OF[error]


def error_response(error: OpdexError) -> Response[ErrorAnswer]:
    """Return the answer for an error, with the headers that its status asks for."""
    status = status_of(type(error))
    headers: dict[str, str | list[str]] = {}
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="opdex"'
    if status == 405:
        headers["Allow"] = ", ".join(error.details.get("allowed", ()))
    if status == 416:
        headers["Content-Range"] = f"bytes */{error.details['bytes']}"
    if status == 503:
        wait = getattr(error, "retry_after", None)
        headers["Retry-After"] = str(_RETRY_AFTER_SECONDS if wait is None else max(1, round(wait)))
    # What is beneath an error is for the log: its name tells a client nothing, and tells a stranger too much.
    details = {name: value for name, value in error.details.items() if name != "cause"}
    if status >= 500 and (request_id := correlation_id()):
        details["request_id"] = request_id  # what an operator finds the log's lines by
    detail = ErrorDetail(code=error.code, message=error.message, details=details)
    return Response(status, "application/json", ErrorAnswer(error=detail), headers)
