"""From a gateway event to the bytes that the client sent."""

import binascii
from base64 import b64decode
from typing import Final

from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from opdex.errors import ArchiveUnusable, MalformedRequest, UnsupportedMediaType
from opdex.openapi.archive import is_zip
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
_FILE_FIELD: Final = b"file"
_MAX_PARTS: Final = 16


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
        return _file_of_form(body_bytes(event), event.headers.get("content-type", ""))
    if sent in _DOCUMENT_TYPES or sent.endswith(("+json", "+yaml")):
        body = body_bytes(event)
        if sent == _ZIP and not is_zip(body):
            raise ArchiveUnusable("The body is sent as application/zip, but it is no zip archive.")
        return body
    raise UnsupportedMediaType(content_type=storable(sent))


def _file_of_form(body: bytes, content_type: str) -> bytes:
    form = _FormFile()
    try:
        boundary = parse_options_header(content_type)[1].get(b"boundary")
        if not boundary:
            raise MalformedRequest("The multipart/form-data header names no boundary.")
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": form.part_begins,
                "on_header_begin": form.header_begins,
                "on_header_field": form.header_name,
                "on_header_value": form.header_value,
                "on_header_end": form.header_ends,
                "on_part_data": form.part_data,
                "on_end": form.ends,
            },
        )
        parser.write(body)
    except UnicodeError:  # the parser takes a header for latin-1
        raise MalformedRequest("The multipart/form-data header has characters that no header can have.") from None
    except FormParserError as error:
        raise MalformedRequest(f"The body is no valid multipart/form-data: {error}.") from None
    if form.content is None:
        raise MalformedRequest("The form has no field 'file'; put the document there.", field="file")
    if not form.complete:
        raise MalformedRequest("The multipart/form-data body is cut off.")
    return bytes(form.content)


class _FormFile:
    """Keeps the part called ``file`` of a form, and no other."""

    def __init__(self) -> None:
        self.content: bytearray | None = None
        self.complete = False
        self._parts = 0
        self._wanted = False
        self._name = bytearray()
        self._value = bytearray()

    def part_begins(self) -> None:
        self._parts += 1
        self._wanted = False
        if self._parts > _MAX_PARTS:
            raise FormParserError(f"it has more than {_MAX_PARTS} parts")

    def header_begins(self) -> None:
        self._name.clear()
        self._value.clear()

    def header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_ends(self) -> None:
        if self._name.lower() == b"content-disposition" and self.content is None:
            self._wanted = parse_options_header(bytes(self._value))[1].get(b"name") == _FILE_FIELD
            if self._wanted:
                self.content = bytearray()

    def part_data(self, data: bytes, start: int, end: int) -> None:
        if self._wanted and self.content is not None:
            self.content += data[start:end]

    def ends(self) -> None:
        self.complete = True
