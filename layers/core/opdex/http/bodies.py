"""From a gateway event to the bytes that the client sent."""

import binascii
from base64 import b64decode
from typing import Final

from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent

from opdex.errors import ArchiveUnusable, MalformedRequest, UnsupportedMediaType
from opdex.openapi.plain_text import storable

_ZIP: Final = "application/zip"
_DOCUMENT_TYPES: Final = frozenset(
    {
        "",
        "application/json",
        "application/yaml",
        "application/x-yaml",
        "text/yaml",
        "text/x-yaml",
        "text/plain",
        "application/octet-stream",
        "application/gzip",
        "application/x-gzip",
        _ZIP,
    }
)
_MULTIPART: Final = "multipart/form-data"


def media_type(event: APIGatewayProxyEvent) -> str:
    """Return the media type of a request's body in lower case, without parameters."""
    return event.headers.get("content-type", "").partition(";")[0].strip().lower()


def body_bytes(event: APIGatewayProxyEvent) -> bytes:
    """Return the body as the client sent it. Raises MalformedRequest."""
    body = event.body or ""
    if not event.is_base64_encoded:
        return body.encode("utf-8", "surrogatepass")
    try:
        return b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise MalformedRequest("The gateway marked the body as base64, which it is not.") from None


def document_bytes(event: APIGatewayProxyEvent) -> bytes:
    """Return the document that was uploaded. Raises UnsupportedMediaType, MalformedRequest, ArchiveUnusable.

    The media type only says how the document is wrapped: JSON, YAML, gzip and zip are told apart by the bytes.
    """
    sent = media_type(event)
    if sent == _MULTIPART:
        from opdex.http.form import file_of_form  # a cold start has better things to load, here and below

        return file_of_form(body_bytes(event), event.headers.get("content-type", ""))
    if sent in _DOCUMENT_TYPES or sent.endswith(("+json", "+yaml")):
        body = body_bytes(event)
        if sent == _ZIP:
            _require_zip(body)
        return body
    raise UnsupportedMediaType(content_type=storable(sent))


def _require_zip(body: bytes) -> None:
    from opdex.openapi.archive import is_zip

    if not is_zip(body):
        raise ArchiveUnusable("The body is sent as application/zip, but it is no zip archive.")
