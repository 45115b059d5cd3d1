"""From the bytes that were sent to text."""

import gzip
import io
import json
import zlib

from opdex.errors import DocumentUnreadable, TooLarge

_GZIP_MAGIC = b"\x1f\x8b"


def unpack(raw: bytes, limit_bytes: int) -> bytes:
    """Return the bytes, unpacked where they are gzip, never holding more than ``limit_bytes`` of them.

    Raises TooLarge past the limit and DocumentUnreadable for a damaged archive.
    """
    if raw.startswith(_GZIP_MAGIC):
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(raw)) as archive:
                raw = archive.read(limit_bytes + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise DocumentUnreadable(f"The gzip data is damaged or cut off ({error}); pack it again.") from None
    hold_to_size(raw, limit_bytes)
    return raw


def hold_to_size(raw: bytes, limit_bytes: int) -> None:
    """Raise TooLarge where there are more bytes than the limit."""
    if len(raw) > limit_bytes:
        raise too_many_bytes(limit_bytes)


def too_many_bytes(limit_bytes: int) -> TooLarge:
    """Return the error for a document of too many bytes."""
    return TooLarge(
        f"The document is larger than {limit_bytes} bytes unpacked (MAX_DOCUMENT_BYTES); split it.",
        limit="max_bytes",
        value=limit_bytes,
    )


def decode(raw: bytes) -> str:
    """Return the text of UTF-8, UTF-16 or UTF-32 bytes, with or without a byte order mark."""
    # The rules of RFC 4627, by where the zero bytes are; they hold for YAML too, which must begin with ASCII here.
    encoding = json.detect_encoding(raw)
    try:
        return raw.decode(encoding).lstrip("\ufeff").rstrip("\0\x1a")  # marks of encodings, and of old ends of files
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DocumentUnreadable(
            f"The document is not valid {encoding.upper()}: byte {error.start}, in line {line}, is wrong. "
            "Save it as UTF-8.",
            byte=error.start,
            line=line,
        ) from None
