import gzip

import pytest

from opdex.errors import DocumentUnreadable, TooLarge
from opdex.openapi import unpack
from opdex.openapi.unpacking import decode


def test_unpack_returns_bytes_that_are_no_gzip_as_they_are() -> None:
    assert unpack(b"openapi: 3.1.0", 100) == b"openapi: 3.1.0"


def test_unpack_reads_gzip_of_several_members() -> None:
    assert unpack(gzip.compress(b"open") + gzip.compress(b"api"), 100) == b"openapi"


@pytest.mark.parametrize("raw", [b"x" * 101, gzip.compress(b"x" * 101), gzip.compress(b"\0" * 50_000_000)])
def test_unpack_refuses_when_more_than_the_limit_comes_out(raw: bytes) -> None:
    with pytest.raises(TooLarge) as caught:
        unpack(raw, 100)
    assert caught.value.details == {"limit": "max_bytes", "value": 100}
    assert "100" in caught.value.message


def test_unpack_takes_exactly_the_limit() -> None:
    assert len(unpack(gzip.compress(b"x" * 100), 100)) == 100


@pytest.mark.parametrize("cut", [3, 12, 30])
def test_unpack_says_so_when_the_archive_is_cut_off(cut: int) -> None:
    with pytest.raises(DocumentUnreadable, match="gzip"):
        unpack(gzip.compress(bytes(range(256)))[:cut], 10_000)


def test_unpack_says_so_when_the_archive_is_damaged() -> None:
    archive = bytearray(gzip.compress(b"openapi: 3.1.0\n" * 50))
    archive[20] ^= 0xFF
    with pytest.raises(DocumentUnreadable, match="gzip"):
        unpack(bytes(archive), 10_000)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_decode_finds_the_encoding(encoding: str) -> None:
    assert decode("openapi: é".encode(encoding)) == "openapi: é"


def test_decode_names_the_line_when_a_byte_is_wrong() -> None:
    with pytest.raises(DocumentUnreadable) as caught:
        decode(b"a: 1\nb: \xff\n")
    assert caught.value.details == {"byte": 8, "line": 2}


def test_decode_leaves_out_marks_of_encodings_and_of_old_ends_of_files() -> None:
    assert decode(b"\xef\xbb\xbf\xef\xbb\xbfa: 1\n\x1a\0\0") == "a: 1\n"
