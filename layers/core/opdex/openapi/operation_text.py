"""The one text of an operation: what is embedded decides what is found."""

import hashlib
import re

from opdex.openapi.plain_text import cut, on_one_line

# Part of every text hash. Raise it with any change of the composition, so that all texts are knowingly embedded again.
TEXT_SCHEME = "1"
MAX_DESCRIPTION = 600

_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "update", "DELETE": "delete"}
_CAMEL_CASE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORD = re.compile(r"[^\W_]+")
_PATH_PARAMETER = re.compile(r"\{[^{}]*\}")


def compose_text(method: str, path: str, operation_id: str, summary: str, description: str) -> str:
    """Return "summary. description. verb and path words. operationId's words"; parts that are empty are left out.

    ``operation_id`` is what the document says, "" where it says none.
    """
    summary = on_one_line(summary)
    description = on_one_line(description)
    verb = _VERBS.get(method, method.lower())
    parts = (
        summary,
        "" if description == summary else cut(description, MAX_DESCRIPTION),
        " ".join([verb, *words(_PATH_PARAMETER.sub(" ", path))]),
        " ".join(words(operation_id)),
    )
    return ". ".join(part for part in (part.rstrip(" .") for part in parts) if part)


def hash_text(text: str) -> bytes:
    """Return the 32 bytes that stand for this text under this scheme."""
    return hashlib.sha256(f"{TEXT_SCHEME}\n{text}".encode()).digest()


def words(name: str) -> list[str]:
    """Split a name into lower-case words: at capitals inside it, and at all that is no letter or digit."""
    return [word.lower() for word in _WORD.findall(_CAMEL_CASE.sub(" ", name))]
