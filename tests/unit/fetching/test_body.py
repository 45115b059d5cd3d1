import gzip
import zlib

import pytest

from opdex.errors import SourceFailed, TooLarge
from opdex.fetching.body import read_body


def _in_pieces(body: bytes, size: int = 7) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]


@pytest.mark.parametrize(
    ("encoding", "sent"), [("", b"document"), ("identity", b"document"), ("GZIP", gzip.compress(b"document"))]
)
def test_body_is_unpacked_when_it_comes_in_pieces(encoding: str, sent: bytes) -> None:
    assert read_body(_in_pieces(sent), encoding, limit_bytes=8 + len(sent)) == b"document"


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_body_is_refused_at_the_first_byte_when_it_is_too_large(encoding: str) -> None:
    taken = []

    def pieces() -> "list[bytes]":
        body = bytes(1_000_000)
        return _in_pieces(gzip.compress(body) if encoding else body, 100)

    def endless() -> "object":
        for piece in pieces():
            taken.append(piece)
            yield piece

    with pytest.raises(TooLarge) as refused:
        read_body(endless(), encoding, limit_bytes=500)  # type: ignore[arg-type]
    assert (refused.value.details["limit"], refused.value.details["value"]) == ("max_bytes", 500)
    assert len(taken) <= 6


def test_bomb_is_not_unpacked_beyond_the_limit_when_one_piece_holds_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    unpacked = []
    bomb = gzip.compress(bytes(50_000_000))

    class Watched:
        def __init__(self, bits: int) -> None:
            self._archive = _decompressobj(bits)
            self.eof = False

        def decompress(self, piece: bytes, most: int) -> bytes:
            unpacked.append(self._archive.decompress(piece, most))
            return unpacked[-1]

    _decompressobj = zlib.decompressobj
    monkeypatch.setattr("opdex.fetching.body.zlib.decompressobj", Watched)
    with pytest.raises(TooLarge):
        read_body([bomb], "gzip", limit_bytes=100_000)
    assert sum(map(len, unpacked)) <= 100_001


def test_body_is_too_large_when_it_is_so_only_packed() -> None:
    with pytest.raises(TooLarge):
        read_body(_in_pieces(gzip.compress(b"x", 0) + bytes(600)), "gzip", limit_bytes=500)


@pytest.mark.parametrize(
    ("encoding", "sent"),
    [
        ("gzip", gzip.compress(b"document")[:-1]),
        ("gzip", b"document"),
        ("gzip", b""),
        ("br", b"x"),
        ("gzip, gzip", b"x"),
    ],
)
def test_body_is_an_error_of_the_server_when_it_cannot_be_unpacked(encoding: str, sent: bytes) -> None:
    with pytest.raises(SourceFailed):
        read_body([sent], encoding, limit_bytes=500)
