"""How large an answer is by the time it leaves the function: a string within JSON, of which Lambda takes 6 MB."""

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

from pydantic_core import to_json

# Lambda's limit is 6,291,556 bytes; the rest is for headers and what the runtime adds.
MAX_PAYLOAD_BYTES: Final = 6_000_000


def payload_bytes(answer: dict[str, Any]) -> int:
    """Return how many bytes a gateway answer takes."""
    return len(json.dumps(answer, ensure_ascii=False).encode("utf-8", "replace"))


def fitting[T](items: Sequence[T], answer: Callable[[Sequence[T]], Any]) -> Sequence[T]:
    """Return as many of the first items as an answer made of them can carry."""
    while len(items) > 1 and len(json.dumps(to_json(answer(items)).decode(), ensure_ascii=False)) > MAX_PAYLOAD_BYTES:
        items = items[: len(items) * 3 // 4]
    return items
