"""What becomes of a document: its structure, its text, and its bytes are changed by chance."""

import json
import pickle
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import yaml

from tests.fuzz.samples import Sample

_ODD_VALUES: Final[tuple[Any, ...]] = (
    None, True, False, 0, -1, 3.1, 10**400, float("nan"), "", " ", "\0", "\ud800", "\u2028", "\U0001f600", "x" * 70_000,
    "\n\t", [], {}, [[]], [None], {"": None}, {"$ref": None}, {"$ref": []}, {"get": []}, "2024-01-01", "on", "1.10",
)  # fmt: skip
_ODD_KEYS: Final = (
    "$ref", "paths", "get", "GET", "query", "post", "parameters", "x-", "x-y", "", "\0", "\ud800", "<<", "/",
    "/{a}/{b}",
    "summary", "description", "operationId", "tags", "deprecated", "servers", "url", "variables", "default", "info",
    "title",
    "components", "pathItems", "webhooks", "additionalOperations", "openapi", "swagger", "basePath", "in", "name",
    "é" * 900,
    "x-bundled-files", "responses", "callbacks", "examples", "value", "properties", "200", "~1", "%2F", "0",
)  # fmt: skip
_REFERENCES: Final = (
    "#", "#/", "#/paths", "#/components/schemas/Pet", "#/x/y", "#/paths/~1a/get", "#/0", "#/%7E1", "#a",
    "other.yaml", "../up",
    "/etc/passwd", "file:///etc/passwd", "http://169.254.169.254/", "//x/y", "#/" + "a/" * 3000, "%", "a%2Fb#/c",
    "\\x\\y",
    "paths/a.yaml", "../shared.json#/operations/0", "openapi.yaml", "C:/x", "?", "\0", "#/\ud800",
)  # fmt: skip
_VERSIONS: Final[tuple[Any, ...]] = (
    "3.0.0",
    "3.1.1",
    "3.2.0",
    "2.0",
    "4.0.0",
    "3",
    3.1,
    None,
    "",
    {},
    "3.0.0-rc1",
    "\0",
    "3.1." + "9" * 50,
)
_PIECES: Final = (
    *(bytes([n]) for n in b'{}[]":,\n\t-&*!|>?%#\0\xff\x85'), b"<<: *a", b"&a ", b"*a", b"$ref: '#/paths'", b"\\ud800",
    b"\\u0000", b"null", b"get:", b"---\n", b"...\n", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"!!binary ",
    b"!!python/x ",
    b"%YAML 1.2\n---\n", b"%TAG ! x\n", b"9" * 5000, b"[" * 500, b"{a: " * 300, b"\r", b"\xed\xa0\x80", b"\xc3",
    b"PK\x03\x04",
)  # fmt: skip
_ENCODINGS: Final = ("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1")
_FLOODS: Final = (10_000, 100_000, 1_000_000)
_MAX_YAML: Final = 200_000
_MAX_STRUCTURE: Final = 4_000_000

type Place = tuple[Any, Any]  # a mapping or list, and a key or index in it


class Mutator:
    """Mutates samples; the same source of chance gives the same mutations."""

    def __init__(self, samples: list[Sample]) -> None:
        self._samples = samples
        self._parsed: dict[str, bytes | None] = {}

    def mutate(self, sample: Sample, chance: random.Random) -> bytes:
        """Return what has become of the sample's document; now and then it is what it was."""
        kind = chance.random()
        if kind < 0.05:
            return sample.content
        parsed = self._structure(sample) if kind < 0.75 else None
        if parsed is None:
            return self._mutate_bytes(sample.content, chance)
        document = pickle.loads(parsed)  # noqa: S301 - our own, the quickest way to a copy
        for _ in range(chance.choice((1, 1, 2, 4, 8))):
            chance.choice(_STRUCTURAL)(document, chance)
        written = _written(document, chance)
        return self._mutate_bytes(written, chance) if chance.random() < 0.1 else written

    def _structure(self, sample: Sample) -> bytes | None:
        if sample.name not in self._parsed:
            self._parsed[sample.name] = _parsed(sample)
        return self._parsed[sample.name]

    def _mutate_bytes(self, content: bytes, chance: random.Random) -> bytes:
        raw = bytearray(content)
        for _ in range(chance.choice((1, 1, 2, 5))):
            start = chance.randrange(len(raw) + 1)
            end = start + chance.choice((0, 0, 1, 5, 100))
            kind = chance.randrange(20)
            if kind < 13:
                raw[start:end] = chance.choice(_PIECES)
            elif kind < 15:
                raw[start:end] = bytes(raw[start:end]) * chance.choice((2, 3, 200))
            elif kind < 16:
                del raw[start:]
            elif kind < 17:
                piece = chance.choice(_PIECES)
                raw[start:end] = piece * (chance.choice(_FLOODS) // len(piece))
            elif kind < 19 and start < len(raw):
                raw[start] ^= 1 << chance.randrange(8)
            else:
                other = chance.choice(self._samples).content
                at = chance.randrange(len(other) + 1)
                raw[start:end] = other[at : at + chance.choice((10, 100, 1000))]
        return bytes(raw)


def _parsed(sample: Sample) -> bytes | None:
    if not sample.real or len(sample.content) > _MAX_STRUCTURE:
        return None
    try:
        document = json.loads(sample.content)
    except ValueError:
        document = yaml.load(sample.content, yaml.CBaseLoader)  # noqa: S506 - it makes nothing but text
    return pickle.dumps(document) if isinstance(document, dict) else None


def _written(document: Any, chance: random.Random) -> bytes:
    text = json.dumps(document, ensure_ascii=chance.random() < 0.3, indent=chance.choice((None, None, 1)))
    if len(text) < _MAX_YAML and chance.random() < 0.4:
        flow = chance.choice((None, None, True))
        with suppress(UnicodeError):  # half a surrogate pair, which JSON can still write
            text = yaml.dump(document, Dumper=yaml.CSafeDumper, allow_unicode=True, default_flow_style=flow)
    encoding = chance.choice(_ENCODINGS)
    keep_halves = encoding != "latin-1" and chance.random() < 0.5
    return text.encode(encoding, "surrogatepass" if keep_halves else "backslashreplace")


def _any_place(document: Any, chance: random.Random) -> Place | None:
    """Return a place in the document; those of operations more often than the many deep in its schemas."""
    if not isinstance(document, dict | list) or not document:
        return None
    container: Any = document
    if isinstance(container, dict) and chance.random() < 0.7:
        below = container.get("paths")
        container = below if isinstance(below, dict | list) and below else container
    while True:
        keys = list(container) if isinstance(container, dict) else range(len(container))
        key = chance.choice(keys)
        below = container[key]
        if not (isinstance(below, dict | list) and below) or chance.random() < 0.25:
            return container, key
        container = below


def _set_value(document: Any, chance: random.Random) -> None:
    if place := _any_place(document, chance):
        place[0][place[1]] = pickle.loads(pickle.dumps(chance.choice(_ODD_VALUES)))  # noqa: S301


def _delete(document: Any, chance: random.Random) -> None:
    if place := _any_place(document, chance):
        del place[0][place[1]]


def _rename(document: Any, chance: random.Random) -> None:
    if (place := _any_place(document, chance)) and isinstance(place[0], dict):
        place[0][chance.choice(_ODD_KEYS)] = place[0].pop(place[1])


def _insert(document: Any, chance: random.Random) -> None:
    if place := _any_place(document, chance):
        value = pickle.loads(pickle.dumps(chance.choice(_ODD_VALUES)))  # noqa: S301
        if isinstance(place[0], dict):
            place[0][chance.choice(_ODD_KEYS)] = value
        else:
            place[0].insert(place[1], value)


def _move(document: Any, chance: random.Random) -> None:
    source, target = _any_place(document, chance), _any_place(document, chance)
    if source and target:
        copied = pickle.dumps(source[0][source[1]])
        if len(copied) < _MAX_YAML:
            target[0][target[1]] = pickle.loads(copied)  # noqa: S301


def _refer(document: Any, chance: random.Random) -> None:
    if place := _any_place(document, chance):
        reference = chance.choice(_REFERENCES)
        below = place[0][place[1]]
        if isinstance(below, dict) and chance.random() < 0.5:
            below["$ref"] = reference
        else:
            place[0][place[1]] = {"$ref": reference}


def _repeat(document: Any, chance: random.Random) -> None:
    if place := _any_place(document, chance):
        container, key = place
        copied = pickle.dumps(container[key])
        for number in range(min(chance.choice((2, 30, 3000)), 1 + _MAX_YAML // len(copied))):
            value = pickle.loads(copied)  # noqa: S301
            if isinstance(container, dict):
                container[f"{key}{number}"] = value
            else:
                container.append(value)


def _nest(document: Any, chance: random.Random) -> None:
    if place := _any_place(document, chance):
        container, key = place
        for _ in range(chance.choice((2, 20, 150))):
            container[key] = [container[key]] if chance.random() < 0.5 else {chance.choice(_ODD_KEYS): container[key]}


def _change_version(document: Any, chance: random.Random) -> None:
    if isinstance(document, dict):
        document[chance.choice(("openapi", "swagger"))] = chance.choice(_VERSIONS)


_STRUCTURAL: Final[tuple[Callable[[Any, random.Random], None], ...]] = (
    _set_value, _set_value, _set_value, _delete, _rename, _rename, _insert, _insert, _insert, _move, _move, _refer,
    _refer,
    _refer, _repeat, _nest, _change_version,
)  # fmt: skip
