"""How large an answer is by the time it leaves the function: a string within JSON, of which Lambda takes 6 MB."""

import json
from collections.abc import Sequence
from itertools import accumulate, takewhile
from typing import Any, Final

from pydantic_core import to_json

# Lambda's limit is 6,291,556 bytes; the rest is for headers and what the runtime adds.
MAX_PAYLOAD_BYTES: Final = 6_000_000
# What surrounds the items of a list: the gateway answer's own fields, a cursor, a note.
_ENVELOPE_BYTES: Final = 20_000
# Octets travel as base64, which makes four bytes of three.
MAX_OCTETS: Final = (MAX_PAYLOAD_BYTES - _ENVELOPE_BYTES) // 4 * 3


def payload_bytes(answer: dict[str, Any] | str) -> int:
    """Return how many bytes a gateway answer, or the text of its body, takes."""
    return len(json.dumps(answer, ensure_ascii=False).encode("utf-8", "replace"))


def fitting[T](items: Sequence[T]) -> Sequence[T]:
    """Return as many of the first items as one answer can carry, and one at least."""
    sizes = accumulate(payload_bytes(to_json(item).decode()) for item in items)
    fit = sum(1 for _ in takewhile(lambda size: size <= MAX_PAYLOAD_BYTES - _ENVELOPE_BYTES, sizes))
    return items[: max(1, fit)]
