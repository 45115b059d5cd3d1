"""Text that any store can hold: no NUL, no lone surrogate, no control character, and never longer than agreed."""

import re

# Postgres refuses the first and the last of these; the others would reach terminals and logs.
_HARMFUL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_REPLACEMENT = "\ufffd"


def storable(text: str) -> str:
    """Return the text with each character that must not be stored replaced by U+FFFD."""
    return _HARMFUL.sub(_REPLACEMENT, text)


def on_one_line(text: str) -> str:
    """Return the storable text with every run of white space made one space."""
    return " ".join(storable(text).split())


def cut(text: str, limit: int) -> str:
    """Return at most ``limit`` characters of the text."""
    return text if len(text) <= limit else text[:limit].rstrip()


def quoted(value: object, limit: int = 60) -> str:
    """Return a short, printable form of a value from a document, for messages."""
    shown = value if isinstance(value, str) else type(value).__name__
    return repr(cut(on_one_line(shown[: limit * 4]), limit))
