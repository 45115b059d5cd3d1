"""Zip archives for tests, good ones and hostile ones."""

import io
import warnings
import zipfile
from collections.abc import Iterable, Mapping


def packed(files: Mapping[str, str | bytes] | Iterable[tuple[str | zipfile.ZipInfo, str | bytes]]) -> bytes:
    """Return a zip of these files, deflated, the same at any time; pairs may repeat a name."""
    pairs = files.items() if isinstance(files, Mapping) else files
    written = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore", UserWarning)
        for name, content in pairs:
            archive.writestr(member(name) if isinstance(name, str) else name, content)
    return written.getvalue()


def member(name: str, *, mode: int = 0o100644, method: int = zipfile.ZIP_DEFLATED) -> zipfile.ZipInfo:
    """Return the entry of a file that is packed in that way; ``mode`` is what Unix says of it."""
    info = zipfile.ZipInfo(name)
    info.orig_filename = info.filename = name  # as it was given, separators and all
    info.external_attr = mode << 16
    info.create_system = 3
    info.compress_type = method
    return info


def patched(archive: bytes, old: bytes, new: bytes) -> bytes:
    """Return the archive with each of these octets replaced, which must be there."""
    assert old in archive
    return archive.replace(old, new)
