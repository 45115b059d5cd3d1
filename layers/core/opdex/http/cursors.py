"""Cursors: where a page ended, in a form that clients pass back as it is."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence

from opdex.errors import MalformedRequest
from opdex.http.answer_size import fitting

_PLACE = re.compile(r"[1-9][0-9]{0,8}\.[0-9]{1,9}")


def encode_cursor(position: str | int) -> str:
    """Return the cursor of a position."""
    return urlsafe_b64encode(str(position).encode()).decode().rstrip("=")


def decode_cursor[P: (str, int)](cursor: str | None, read: Callable[[str], P]) -> P | None:
    """Return the position of a cursor, None for none. Raises MalformedRequest on one that this service did not give."""
    if cursor is None:
        return None
    try:
        position = read(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode())
    except ValueError:
        position = None
    if position is None or encode_cursor(position) != cursor:
        raise MalformedRequest("The cursor is not one that this service gave.", field="cursor")
    return position


def name_position(text: str) -> str:
    """Read a position among slugs. Raises ValueError."""
    if not text.replace("-", "").replace("_", "").isalnum() or not text.isascii():
        raise ValueError(text)
    return text


def id_position(text: str) -> int:
    """Read a position among row ids. Raises ValueError."""
    position = int(text)
    if not 0 < position < 2**63:
        raise ValueError(text)
    return position


def place_position(text: str) -> str:
    """Read a position among the operations of a revision, "revision.position". Raises ValueError."""
    if _PLACE.fullmatch(text) is None:
        raise ValueError(text)
    return text


def page[T](found: Sequence[T], limit: int, position: Callable[[T], str | int]) -> tuple[list[T], str | None]:
    """Split what was found with ``limit + 1`` into the page, as far as it fits, and the cursor of the next one."""
    shown = list(fitting(found[:limit]))
    return shown, encode_cursor(position(shown[-1])) if len(found) > len(shown) else None
