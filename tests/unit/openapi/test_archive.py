import gzip
import stat
import struct
import tracemalloc
import zipfile
import zlib

import pytest

from opdex.errors import ArchiveUnusable, DocumentTooComplex, TooLarge
from opdex.openapi import Limits
from opdex.openapi.archive import is_zip, read_archive
from tests.zips import member, packed, patched

LIMITS = Limits()
SETTINGS = {"max_bytes": "MAX_DOCUMENT_BYTES", "max_files": "MAX_ARCHIVE_FILES", "max_ratio": "MAX_ARCHIVE_RATIO"}
ONE = packed({"openapi.yaml": "openapi: 3.1.0"})
_CENTRAL, _LOCAL = b"PK\x01\x02", b"PK\x03\x04"


def with_flags(archive: bytes, flags: int) -> bytes:
    """Return the archive with these flags on each of its files, where it says them twice."""
    raw = bytearray(archive)
    for signature, offset in ((_CENTRAL, 8), (_LOCAL, 6)):
        at = raw.find(signature)
        while at >= 0:
            raw[at + offset : at + offset + 2] = struct.pack("<H", flags)
            at = raw.find(signature, at + 4)
    return bytes(raw)


def with_declared_size(archive: bytes, size: int) -> bytes:
    """Return the archive of one file with another unpacked size in its directory."""
    at = archive.find(_CENTRAL) + 24
    return archive[:at] + struct.pack("<I", size) + archive[at + 4 :]


def overlapping() -> bytes:
    """Return an archive whose first file reaches, by the directory, over the second one's header into its content."""
    archive = packed([(member(name, method=zipfile.ZIP_STORED), b"x" * 50) for name in "ab"])
    at = archive.find(_CENTRAL) + 20
    return archive[:at] + struct.pack("<II", 100, 100) + archive[at + 8 :]


def of_copies(copies: int) -> bytes:
    """Return an archive all of whose files are the same octets."""
    content = b"openapi: 3.1.0\n" * 1000
    name = b"f%03d.yaml"
    squeezed = zlib.compress(content, 9)[2:-4]
    fields = (20, 0, 8, 0, 0, zlib.crc32(content), len(squeezed), len(content))
    first = _LOCAL + struct.pack("<HHHHHIIIHH", *fields, len(name % 0), 0) + name % 0 + squeezed
    directory = b"".join(
        _CENTRAL + struct.pack("<HHHHHHIIIHHHHHII", 20, *fields, len(name % 0), 0, 0, 0, 0, 0, 0) + name % n
        for n in range(copies)
    )
    end = struct.pack("<HHHHIIH", 0, 0, copies, copies, len(directory), len(first), 0)
    return first + directory + b"PK\x05\x06" + end


def test_files_are_read_by_their_names_and_folders_left_out() -> None:
    archive = packed([("a.yaml", "a"), (member("folder/", mode=0o40755), b""), ("folder/b c.yaml", "b"), ("empty", "")])
    assert read_archive(archive, LIMITS) == {"a.yaml": b"a", "folder/b c.yaml": b"b", "empty": b""}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_stored_and_deflated_files_are_read(method: int) -> None:
    assert read_archive(packed([(member("a", method=method), b"content")]), LIMITS) == {"a": b"content"}


def test_names_are_compared_in_one_spelling_whichever_way_they_were_written() -> None:
    taken_apart = packed({"re\u0301sume\u0301.yaml": "x"})
    assert read_archive(taken_apart, LIMITS) == {"r\u00e9sum\u00e9.yaml": b"x"}
    assert read_archive(with_flags(taken_apart, 0), LIMITS) == {"r\u00e9sum\u00e9.yaml": b"x"}


def test_a_name_in_an_old_code_page_is_read_as_such() -> None:
    archive = with_flags(patched(packed({"r?sum?": "x"}), b"r?sum?", b"r\x82sum\x82"), 0)
    assert read_archive(archive, LIMITS) == {"r\u00e9sum\u00e9": b"x"}


def test_an_archive_without_files_has_none() -> None:
    assert read_archive(packed({}), LIMITS) == {}


@pytest.mark.parametrize(
    ("archive", "reason"),
    [
        (packed({"../evil.yaml": "x"}), "`..` part"),
        (packed({"a/../../evil.yaml": "x"}), "`..` part"),
        (packed({"./a.yaml": "x"}), "`..` part"),
        (packed({"a//b.yaml": "x"}), "empty"),
        (packed({"": "x"}), "empty"),
        (packed([(member("/etc/passwd"), b"x")]), "absolute"),
        (packed([(member("C:/a.yaml"), b"x")]), "absolute"),
        (packed([(member("folder\\a.yaml"), b"x")]), "backslash"),
        (packed([(member("..\\a.yaml"), b"x")]), "backslash"),
        (packed([(member("a\nb"), b"x")]), "control character"),
        (patched(packed({"axb": "x"}), b"axb", b"a\x00b"), "control character"),
        (packed({"a" * 501: "x"}), "500 characters"),
        (packed([(member("link", mode=stat.S_IFLNK | 0o777), b"/etc/passwd")]), "link"),
        (packed([(member("pipe", mode=stat.S_IFIFO | 0o600), b"")]), "device"),
        (packed([("a.yaml", b"1"), ("a.yaml", b"2")]), "two files"),
        (packed([("e\u0301", b"1"), ("\u00e9", b"2")]), "two files"),
        (with_flags(ONE, 0x1), "encrypted"),
        (with_flags(ONE, 0x41), "encrypted"),
        (with_flags(ONE, 0x20), "damaged"),
        (packed([(member("a", method=zipfile.ZIP_BZIP2), b"x" * 100)]), "deflate"),
        (packed([(member("a", method=zipfile.ZIP_LZMA), b"x" * 100)]), "deflate"),
        (packed({"inner.zip": packed({"a": "x"})}), "itself an archive"),
        (packed({"inner.yaml.gz": gzip.compress(b"x")}), "itself an archive"),
        (patched(packed([(member("a", method=zipfile.ZIP_STORED), b"content")]), b"content", b"CONTENT"), "CRC"),
        (overlapping(), "verlap"),
        (with_declared_size(ONE, 5), "CRC"),
        (with_declared_size(ONE, 5000), "damaged"),
        (ONE[:-30], "damaged"),
        (ONE[:20], "damaged"),
        (_LOCAL, "damaged"),
        (b"#!/bin/sh\n" + ONE, "no zip archive"),
        (b"", "no zip archive"),
    ],
)
def test_an_archive_that_is_hostile_or_damaged_is_refused_with_the_reason(archive: bytes, reason: str) -> None:
    with pytest.raises(ArchiveUnusable) as refused:
        read_archive(archive, LIMITS)
    assert reason in refused.value.message


def test_a_refusal_names_the_file() -> None:
    with pytest.raises(ArchiveUnusable) as refused:
        read_archive(packed({"good.yaml": "x", "../evil.yaml": "x"}), LIMITS)
    assert refused.value.details == {"file": "'../evil.yaml'"}


@pytest.mark.parametrize(
    ("archive", "limits", "error", "limit", "value"),
    [
        (packed({f"{n}": "x" for n in range(11)}), Limits(max_files=10), DocumentTooComplex, "max_files", 10),
        (packed({"a": "x" * 60, "b": "x" * 60}), Limits(max_bytes=100), TooLarge, "max_bytes", 100),
        (with_declared_size(ONE, 2**32 - 2), LIMITS, TooLarge, "max_bytes", LIMITS.max_bytes),
        (packed({"a": b" " * 9_000_000}), LIMITS, DocumentTooComplex, "max_ratio", LIMITS.max_ratio),
        (packed({f"{n}": b" " * 200_000 for n in range(99)}), LIMITS, DocumentTooComplex, "max_ratio", 200),
        (of_copies(6_000), LIMITS, DocumentTooComplex, "max_files", LIMITS.max_files),
    ],
)
def test_an_archive_that_passes_a_limit_is_refused_with_its_name_and_value(
    archive: bytes, limits: Limits, error: type[DocumentTooComplex | TooLarge], limit: str, value: int
) -> None:
    with pytest.raises(error) as refused:
        read_archive(archive, limits)
    assert refused.value.details == {"limit": limit, "value": value}
    assert SETTINGS[limit] in refused.value.message
    assert str(value) in refused.value.message


def test_an_archive_at_its_limits_is_taken() -> None:
    files = {f"{n}": "x" * 10 for n in range(10)}
    assert len(read_archive(packed(files), Limits(max_bytes=100, max_files=10))) == 10


def test_a_file_that_unpacks_to_more_than_it_says_is_not_held() -> None:
    bomb = with_declared_size(packed({"a": b" " * 50_000_000}), 1000)
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveUnusable):
            read_archive(bomb, LIMITS)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_bytes_are_known_for_a_zip_by_how_they_begin() -> None:
    assert is_zip(ONE)
    assert is_zip(packed({}))
    assert not is_zip(b"openapi: 3.1.0")
    assert not is_zip(gzip.compress(ONE))
