"""The one text of an operation: what is embedded decides what is found."""

import hashlib
import re
from itertools import islice
from typing import NamedTuple

from opdex.openapi.plain_text import cut, on_one_line

# Part of every text hash; a number. Raise it with any change of the composition: the sweep then reads all documents
# again, and all texts are knowingly embedded again.
TEXT_SCHEME = "2"
MAX_DESCRIPTION = 600
# The least that a supported model reads, less the two tokens around a text and the estimate's error: MiniLM's 256.
MAX_TOKENS = 240
MAX_PATH_TOKENS, MAX_OPERATION_ID_TOKENS, MAX_SUMMARY_TOKENS = 60, 40, 100

_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "update", "DELETE": "delete"}
CAMEL_CASE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORD = re.compile(r"[^\W_]+")
PATH_PARAMETER = re.compile(r"\{[^{}]*\}")
# As WordPiece cuts: ASCII words in pieces of about five characters, all else a character each. On the 4,167 operations
# of 27 real documents the estimate is 0.95 to 1.47 times the tokens of each text that has more than a hundred.
_PIECE = re.compile(r"[A-Za-z0-9]{1,5}|[^\sA-Za-z0-9]")


class OperationText(NamedTuple):
    """What is embedded for an operation, and whether something of what the document says did not fit."""

    text: str
    is_cut: bool


def compose_text(method: str, path: str, operation_id: str, summary: str, description: str) -> OperationText:
    """Return "summary. description. verb and path words. operationId's words"; parts that are empty are left out.

    ``operation_id`` is what the document says, "" where it says none. The text is cut so that each supported model
    reads all of it: the description to 600 characters, and to what the other parts leave of the model's length.
    """
    summary = on_one_line(summary)
    description = on_one_line(description)
    if description == summary:
        description = ""
    verb = _VERBS.get(method, method.lower())
    address = " ".join([verb, *words(PATH_PARAMETER.sub(" ", path))])
    name = " ".join(words(operation_id))
    kept_address, left = _fitting(address, MAX_PATH_TOKENS, MAX_TOKENS)
    kept_name, left = _fitting(name, MAX_OPERATION_ID_TOKENS, left)
    kept_summary, left = _fitting(summary, MAX_SUMMARY_TOKENS, left)
    kept_description, left = _fitting(cut(description, MAX_DESCRIPTION), left, left)
    said = (summary, description, address, name)
    kept = (kept_summary, kept_description, kept_address, kept_name)
    text = ". ".join(part for part in (part.rstrip(" .") for part in kept) if part)
    return OperationText(text, is_cut=kept != said)


def _fitting(text: str, at_most: int, left: int) -> tuple[str, int]:
    """Return what so many tokens hold of the text, and how many are left of ``left``."""
    pieces = list(islice(_PIECE.finditer(text), at_most + 1))
    if len(pieces) > at_most:
        return text[: pieces[at_most].start()].rstrip(), left - at_most
    return text, left - len(pieces)


def hash_text(text: str) -> bytes:
    """Return the 32 bytes that stand for this text under this scheme."""
    return hashlib.sha256(f"{TEXT_SCHEME}\n{text}".encode()).digest()


def words(name: str) -> list[str]:
    """Split a name into lower-case words: at capitals inside it, and at all that is no letter or digit."""
    return [word.lower() for word in _WORD.findall(CAMEL_CASE.sub(" ", name))]
