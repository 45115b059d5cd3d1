"""The body of an answer, unpacked, and never more of it in memory than a document may have."""

import zlib
from collections.abc import Iterable
from typing import Final

from opdex.errors import SourceFailed, TooLarge

_GZIP_AND_ITS_HEADER: Final = 31


def read_body(pieces: Iterable[bytes], encoding: str, limit_bytes: int) -> bytes:
    """Return the body that arrives in pieces under a Content-Encoding.

    Raises TooLarge at the first byte past the limit, packed or unpacked, and SourceFailed where it cannot be unpacked.
    """
    match encoding.strip().lower():
        case "" | "identity":
            return _read(pieces, limit_bytes)
        case "gzip" | "x-gzip":
            return _unpack(pieces, limit_bytes)
    raise SourceFailed("The server packs the document in a way that it was not asked for; only gzip is understood.")


def _read(pieces: Iterable[bytes], limit_bytes: int) -> bytes:
    body = bytearray()
    for piece in pieces:
        body += piece
        _hold_to_size(len(body), limit_bytes)
    return bytes(body)


def _unpack(pieces: Iterable[bytes], limit_bytes: int) -> bytes:
    archive = zlib.decompressobj(_GZIP_AND_ITS_HEADER)
    body, received = bytearray(), 0
    try:
        for piece in pieces:
            received += len(piece)
            body += archive.decompress(piece, limit_bytes + 1 - len(body))
            _hold_to_size(max(received, len(body)), limit_bytes)
    except zlib.error:
        raise SourceFailed("The gzip data that the server sent is damaged.") from None
    if not archive.eof:
        raise SourceFailed("The gzip data that the server sent is cut off.")
    return bytes(body)


def _hold_to_size(size: int, limit_bytes: int) -> None:
    if size > limit_bytes:
        raise TooLarge(
            f"The document at this URL is larger than {limit_bytes} bytes unpacked (MAX_DOCUMENT_BYTES); split it.",
            limit="max_bytes",
            value=limit_bytes,
        )
