"""A document that is uploaded as the file of an HTML form."""

from typing import Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from opdex.errors import MalformedRequest

_FILE_FIELD: Final = b"file"
_MAX_PARTS: Final = 16


def file_of_form(body: bytes, content_type: str) -> bytes:
    """Return the content of a form's field ``file``. Raises MalformedRequest."""
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
