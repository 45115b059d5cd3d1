"""How a document is sent: plain, packed, in a form, in an archive, as text in JSON; the right way or a wrong one."""

import gzip
import io
import json
import random
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from opdex.http.routing import BASE_PATH
from tests.fuzz.mutations import Mutator
from tests.fuzz.samples import Sample
from tests.zips import member, packed

CATALOG: Final = "fuzz"
_SPECS: Final = ("a", "b", "c")
# Base64 makes four octets of three, and Lambda takes 6 MB.
_MAX_BODY: Final = 4_200_000
_MEDIA_TYPES: Final = (
    "application/json", "application/yaml", "text/plain", "application/octet-stream", "application/gzip",
    "application/zip",
    "multipart/form-data; boundary=b", "multipart/form-data", "multipart/form-data; boundary=\u20ac", "image/png",
    "", ";", "a/b",
    "application/vnd.oai.openapi+json;version=3.1", "APPLICATION/JSON; charset=utf-16", "\0",
)  # fmt: skip
_TEXTS: Final = (
    "/v1",
    "",
    "/",
    "v1",
    "/a/../b",
    "/\0",
    "/\n",
    "é" * 600,
    "\U0001f600",
    "/" + "a" * 499,
    "%2e",
    "..",
    "x" * 501,
)
_NAMES: Final = (
    "../up.yaml", "/abs.yaml", "C:/x.yaml", "a\\b.yaml", "a//b", "./a", "", "x" * 600, "\n", "caf\u00e9.yaml",
    "e\u0301", "d/",
)  # fmt: skip
_URLS: Final = (
    "https://127.0.0.1/a", "http://127.0.0.1:1/a", "https://[::1]/", "https://0/", "https://2130706433/",
    "file:///etc/passwd",
    "https://", "https://user@127.0.0.1/", "https://169.254.169.254/latest", "ftp://x/", "", "\0", "https://[",
    "https://a:b/",
)  # fmt: skip
_HEADERS: Final = (
    ("content-encoding", "gzip"), ("content-encoding", "\u00e9"), ("accept", "text/html"), ("expect", "100-continue"),
    ("content-md5", "x"), ("if-none-match", "*"), ("x-forwarded-for", "\0"), ("transfer-encoding", "chunked"),
    ("cookie", "a=b;;="),
)  # fmt: skip

# The records of a zip, and where in each the fields of two and four octets are.
_RECORDS: Final = {
    b"PK\x01\x02": {"H": (4, 6, 8, 10, 28, 30, 32, 34), "I": (16, 20, 24, 38, 42)},
    b"PK\x03\x04": {"H": (4, 6, 8, 26, 28), "I": (14, 18, 22)},
    b"PK\x05\x06": {"H": (4, 6, 8, 10, 20), "I": (12, 16)},
}


@dataclass(frozen=True, slots=True)
class Request:
    """One request, and what it is called in reports."""

    kind: str
    method: str
    path: str
    body: bytes
    headers: dict[str, str]


def make_request(sample: Sample, mutator: Mutator, chance: random.Random) -> Request:
    """Return a request that uploads what has become of a sample."""
    content = mutator.mutate(sample, chance)
    names, packings = zip(*_PACKINGS.items(), strict=True)
    kind = chance.choices(names, [5, 3, 2, 6, 2, 1] if sample.files else [2, 4, 3, 2, 2, 1])[0]
    media_type, body = packings[names.index(kind)](sample, content, chance)
    if len(body) > _MAX_BODY:
        kind, media_type, body = "gzip", "application/gzip", _gzipped(content)[:_MAX_BODY]
    headers = {"content-type": chance.choice(_MEDIA_TYPES) if chance.random() < 0.1 else media_type}
    if chance.random() < 0.1:
        name, value = chance.choice(_HEADERS)
        headers[name] = value
    path = f"{BASE_PATH}/api-catalogs/{CATALOG}/specs/{chance.choice(_SPECS)}"
    if kind not in ("inline", "url"):
        path += "/upload" + _query(sample, chance)
    return Request(kind, "PUT", path, body, headers)


def _query(sample: Sample, chance: random.Random) -> str:
    pairs = []
    if sample.files and chance.random() < 0.9:
        pairs.append(("entry", sample.entry))
    if chance.random() < 0.2:
        pairs.append(
            (chance.choice(("base_path", "base_path", "entry", "entry", "unknown", "")), chance.choice(_TEXTS))
        )
    written = "&".join(f"{quote(name)}={quote(value, safe=chance.choice(('', '/')))}" for name, value in pairs)
    return f"?{written}" if written else ""


def _plain(_: Sample, content: bytes, chance: random.Random) -> tuple[str, bytes]:
    return chance.choice(("application/json", "application/yaml", "text/plain", "application/octet-stream")), content


def _gzip(_: Sample, content: bytes, chance: random.Random) -> tuple[str, bytes]:
    raw = _gzipped(content)
    kind = chance.randrange(12)
    if kind == 0:
        raw = _damaged(raw, chance)
    elif kind == 1:
        raw += _gzipped(content[:1000])
    elif kind == 2:
        raw = _gzipped(raw)
    elif kind == 3:
        raw = _gzipped(b" " * chance.choice((10_000, 70_000_000)) + content)
    elif kind == 4:
        raw += b"\0garbage"
    return "application/gzip", raw


def _gzipped(content: bytes) -> bytes:
    return gzip.compress(content, 1, mtime=0)  # the same at any time


def _form(_: Sample, content: bytes, chance: random.Random) -> tuple[str, bytes]:
    name = "file" if chance.random() < 0.9 else chance.choice(("", "other", 'fi"le', "\u00e9"))
    head = f'--b\r\nContent-Disposition: form-data; name="{name}"; filename="x"\r\n\r\n'
    raw = (_gzipped(content) if chance.random() < 0.3 else content).replace(b"\r\n--b", b"")
    body = head.encode() + raw + b"\r\n--b--\r\n"
    return "multipart/form-data; boundary=b", _damaged(body, chance) if chance.random() < 0.15 else body


def _zip(sample: Sample, content: bytes, chance: random.Random) -> tuple[str, bytes]:
    files: list[tuple[str | zipfile.ZipInfo, bytes]] = []
    for path, original in sample.files or (("openapi.yaml", b""),):
        is_entry = not sample.files or path == sample.entry
        # What mutates is the entry or, as often, one of the others.
        files.append((path, content if is_entry or chance.random() < 0.5 / len(sample.files) else original))
    kind = chance.randrange(16)
    at = chance.randrange(len(files))
    name, original = files[at]
    if kind == 0:
        files.append((member(chance.choice(_NAMES)), original))
    elif kind == 1:
        files.append((name, original))
    elif kind == 2:
        files.append(("inner.zip", packed({"a": original})))
    elif kind == 3:
        files.append((member("link", mode=chance.choice((0o120777, 0o020666, 0o040755))), b"/etc/passwd"))
    elif kind == 4:
        files[at] = (
            member(str(name), method=chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))),
            original,
        )
    elif kind == 5:
        files += [(f"{n}", b"") for n in range(chance.choice((100, 6000)))]
    elif kind == 6:
        files.append(("bomb", b"\0" * chance.choice((2_000_000, 70_000_000))))
    elif kind == 7:
        del files[at]
    raw = packed(files)
    if kind in (8, 9):
        raw = _damaged(raw, chance)
    elif kind in (10, 11):
        raw = _with_odd_field(raw, chance)
    return "application/zip", raw


def _inline(_: Sample, content: bytes, chance: random.Random) -> tuple[str, bytes]:
    body: dict[str, object] = {"source_kind": "inline", "content": content.decode("utf-8", "surrogateescape")}
    return "application/json", _as_json(body, chance)


def _url(_: Sample, __: bytes, chance: random.Random) -> tuple[str, bytes]:
    return "application/json", _as_json({"source_kind": "url", "source_url": chance.choice(_URLS)}, chance)


def _as_json(body: dict[str, object], chance: random.Random) -> bytes:
    if chance.random() < 0.2:
        body["base_path"] = chance.choice((*_TEXTS, None, 1, []))
    if chance.random() < 0.1:
        body[chance.choice(list(body))] = chance.choice((None, 1, [], {}, "", "inline", "url", True))
    raw = json.dumps(body).encode()
    return _damaged(raw, chance) if chance.random() < 0.05 else raw


_PACKINGS: Final[dict[str, Callable[[Sample, bytes, random.Random], tuple[str, bytes]]]] = {
    "plain": _plain, "gzip": _gzip, "form": _form, "zip": _zip, "inline": _inline, "url": _url,
}  # fmt: skip


def _damaged(raw: bytes, chance: random.Random) -> bytes:
    changed = bytearray(raw)
    for _ in range(chance.choice((1, 3, 10))):
        at = chance.randrange(len(changed) + 1)
        changed[at : at + chance.choice((0, 1, 4))] = chance.randbytes(chance.choice((0, 1, 4)))
    return bytes(changed[: chance.choice((len(changed), chance.randrange(len(changed) + 1)))])


def _with_odd_field(archive: bytes, chance: random.Random) -> bytes:
    """Return the zip with one field of one of its records set to an odd value."""
    signature = chance.choice(list(_RECORDS))
    size = chance.choice("HI")
    offset = chance.choice(_RECORDS[signature][size])
    starts = [at for at in range(len(archive)) if archive.startswith(signature, at)] if len(archive) < 500_000 else []
    if not starts:
        return archive
    raw = io.BytesIO(archive)
    raw.seek(chance.choice(starts) + offset)
    largest = 2 ** (8 * struct.calcsize(size)) - 1
    raw.write(struct.pack(f"<{size}", chance.choice((0, 1, 8, 0x20, 0x41, 0x800, 0x7FFF, largest - 1, largest))))
    return raw.getvalue()
