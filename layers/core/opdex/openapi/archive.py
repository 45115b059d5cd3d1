"""A zip archive that anybody may have made: all of it is taken, in memory, or none; none inside of it is opened."""

import io
import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from contextlib import suppress
from typing import Final

from opdex.errors import ArchiveUnusable, TooLarge
from opdex.openapi.limits import Limits, passed
from opdex.openapi.plain_text import quoted

_MAGIC: Final = (b"PK\x03\x04", b"PK\x05\x06")
_DIRECTORY_ENTRY: Final = b"PK\x01\x02"
_ARCHIVES: Final = (*_MAGIC, b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"7z\xbc\xaf\x27\x1c", b"Rar!", b"\x28\xb5\x2f\xfd")
_ENCRYPTED: Final = 0x2041  # in the traditional way, in the strong one, or the directory itself
_UTF8_NAME: Final = 0x800
# Only these are unpacked piece by piece; the others' pieces are as large as their maker likes.
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_REGULAR: Final = (0, stat.S_IFREG)
_DRIVE: Final = re.compile(r"[A-Za-z]:")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_PACK_LESS: Final = "pack only what the document refers to."
MAX_NAME: Final = 500
_FREE_OF_RATIO: Final = 1024 * 1024  # so many bytes do no harm, however small they were packed
_DAMAGE: Final = (
    zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, ValueError,
    OverflowError, IndexError,
)  # fmt: skip


def is_zip(raw: bytes) -> bool:
    """Tell whether these are the bytes of a zip archive."""
    return raw.startswith(_MAGIC)


def read_archive(raw: bytes, limits: Limits) -> dict[str, bytes]:
    """Return the files of a zip archive by their names, which are relative paths with slashes.

    Raises ArchiveUnusable, TooLarge or DocumentTooComplex; never holds more than ``max_bytes`` of what it unpacks.
    """
    if not is_zip(raw):
        raise ArchiveUnusable("The body is no zip archive.")
    # Counted before the directory is read, which takes a hundred times the memory of its bytes.
    if raw.count(_DIRECTORY_ENTRY) > limits.max_files:
        raise passed("The archive has more than {} files", _PACK_LESS, max_files=limits.max_files)
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            members = archive.infolist()
            names = [_checked_name(member) for member in members]
            _check_size(members, len(raw), limits)
            files: dict[str, bytes] = {}
            for name, member in zip(names, members, strict=True):
                if name in files:
                    raise ArchiveUnusable(f"The archive has two files {quoted(name)}; keep one.", file=quoted(name))
                if not member.is_dir():
                    files[name] = _unpack(archive, name, member)
            return files
    except _DAMAGE as error:
        raise ArchiveUnusable(f"The zip archive is damaged ({quoted(str(error), 120)}); pack it again.") from None


def normal_name(name: str) -> str:
    """Return the one spelling of a file's name that is compared: some systems take accents apart."""
    return unicodedata.normalize("NFC", name)


def _checked_name(member: zipfile.ZipInfo) -> str:
    name = member.orig_filename
    if not member.flag_bits & _UTF8_NAME:  # many write UTF-8 and do not say so
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    problem = _problem(name, member)
    if problem is not None:
        raise ArchiveUnusable(f"The archive's file {quoted(name)} {problem}.", file=quoted(name))
    return normal_name(name)


def _problem(name: str, member: zipfile.ZipInfo) -> str | None:
    if len(name) > MAX_NAME:
        return f"has a name of more than {MAX_NAME} characters"
    if _CONTROL.search(name):
        return "has a control character in its name"
    if "\\" in name:
        return "has a backslash in its name; zip paths have slashes"
    if name.startswith("/") or _DRIVE.match(name):
        return "has an absolute path; use relative ones"
    if not {"", ".", ".."}.isdisjoint(name.removesuffix("/").split("/")):
        return "has a path with an empty, `.` or `..` part, which may lead out of the archive"
    if stat.S_IFMT(member.external_attr >> 16) not in (stat.S_IFDIR if member.is_dir() else 0, *_REGULAR):
        return "is a link or a device; pack the file itself"
    if member.flag_bits & _ENCRYPTED:
        return "is encrypted; pack it without a password"
    if member.compress_type not in _METHODS:
        return "is packed in another way than deflate; pack it with an ordinary zip program"
    return None


def _check_size(members: list[zipfile.ZipInfo], packed: int, limits: Limits) -> None:
    unpacked = sum(member.file_size for member in members)
    if unpacked > limits.max_bytes:
        raise TooLarge(
            f"The archive unpacks to {unpacked} bytes, more than {limits.max_bytes} (MAX_DOCUMENT_BYTES); {_PACK_LESS}",
            limit="max_bytes",
            value=limits.max_bytes,
        )
    if unpacked > _FREE_OF_RATIO and unpacked > packed * limits.max_ratio:
        what = f"The archive unpacks to {unpacked} bytes, more than {{}} times its size"
        raise passed(what, _PACK_LESS, max_ratio=limits.max_ratio)


def _unpack(archive: zipfile.ZipFile, name: str, member: zipfile.ZipInfo) -> bytes:
    with archive.open(member) as file:
        # With its size, or the unpacked data would be held whole before it is found to be larger than was said.
        content = file.read(member.file_size + 1)
    if len(content) != member.file_size:
        raise zipfile.BadZipFile(f"{name} is shorter than the archive says")
    if content.startswith(_ARCHIVES):
        raise ArchiveUnusable(
            f"The archive's file {quoted(name)} is itself an archive; pack the files in it instead.", file=quoted(name)
        )
    return content
