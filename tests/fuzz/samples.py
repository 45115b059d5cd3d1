"""What is mutated: the project's own examples, and the documents of the corpus that OPDEX_CORPUS names."""

import gzip
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from local.build import PROJECT

_SMALL, _LARGE = 64 * 1024, 1024 * 1024
_PARTS: Final = {
    "api/openapi.yaml": b"openapi: 3.1.0\ninfo: {title: Parts, version: 1.10}\npaths:\n  /a: {$ref: paths/a.yaml}\n"
    b"  /b: {get: {$ref: '../shared.json#/operations/0', summary: B}}\ncomponents: {schemas: {T: {type: string}}}\n",
    "api/paths/a.yaml": b"get: {summary: {$ref: ../../a.md}, parameters: [{$ref: '#/p'}]}\n"
    b"p: {name: p, in: query, schema: {$ref: ../openapi.yaml#/components/schemas/T}}\n",
    "shared.json": b'{"operations": [{"summary": "Shared", "responses": {"200": {"$ref": "api/paths/a.yaml#/get"}}}]}',
    "a.md": "Does *a*, in caf\u00e9s.\n".encode(),
}
_ODD: Final = {
    "empty": b"",
    "scalar": b"hello",
    "html": b"<!DOCTYPE html><title>502</title>",
    "alias bomb": b"a: &a [x, x]\n" + b"".join(b"%c: &%c [*%c, *%c]\n" % (n + 1, n + 1, n, n) for n in range(97, 121)),
    "alias to itself": b"openapi: 3.1.0\npaths: &p {/x: *p, get: *p}\n",
    "merges": b"openapi: 3.0.0\nx: &x {get: {summary: X}}\npaths: {/x: {<<: *x, put: {<<: [*x, *x]}}}\n",
    "yaml 1.1": b"openapi: 3.0\ninfo: {version: 2024-01-01}\npaths: {/on: {get: {tags: [on, no, 12:30]}}}\n",
    "deep": b'{"openapi": "3.1.0", "x": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    "circles": b'{"openapi": "3.1.0", "paths": {"/a": {"$ref": "#/paths/~1b"}, "/b": {"$ref": "#/paths/~1a"}, '
    b'"/c": {"$ref": "#/paths"}, "/d": {"get": {"$ref": "#"}}}}',
    "webhooks": b"openapi: 3.2.0\nwebhooks: {w: {post: {summary: W}}}\npaths: {/q: {query: {summary: Q}, "
    b"additionalOperations: {COPY: {summary: C}}}}\n",
    "utf-16": '{"swagger": "2.0", "paths": {"/\u00fc": {"get": {}}}}'.encode("utf-16"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sample:
    """One document; ``real`` says that it is meant to be one. ``files`` are those of a document of many, by path."""

    name: str
    content: bytes
    real: bool
    entry: str = ""
    files: tuple[tuple[str, bytes], ...] = ()

    @property
    def weight(self) -> float:
        """How often it is taken, beside others: a large one costs as much as a hundred small ones."""
        cost = 1.0 if len(self.content) < _SMALL else 0.15 if len(self.content) < _LARGE else 0.03
        return cost * (10 if self.real else 1)


def all_samples() -> list[Sample]:
    """Return the samples, in an order that does not depend on the machine."""
    found = [_of_files("parts", "api/openapi.yaml", _PARTS)]
    found += [Sample(name, content, real=False) for name, content in _ODD.items()]
    found += [Sample(path.name, path.read_bytes(), real=True) for path in sorted((PROJECT / "docs/examples").iterdir())]
    corpus = os.environ.get("OPDEX_CORPUS")
    if corpus:
        found += _of_corpus(Path(corpus))
    return found


def _of_corpus(corpus: Path) -> Iterator[Sample]:
    for path in sorted((corpus / "specs").iterdir()):
        if path.suffix in (".json", ".yaml", ".gz"):
            content = path.read_bytes()
            yield Sample(path.name, gzip.decompress(content) if path.suffix == ".gz" else content, real=True)
    for path in sorted(path for path in (corpus / "malformed").rglob("*") if path.is_file() and path.suffix != ".tsv"):
        yield Sample(path.name, path.read_bytes(), real=False)
    for root, entry, pattern in (
        (corpus / "specs/digitalocean_multifile", "DigitalOcean-public.v2.yaml", "**/*"),
        (corpus / "specs", "deep_circular.yaml", "de[ef]*/**/*.yaml"),
    ):
        paths = {root / entry, *(path for path in root.glob(pattern) if path.is_file())}
        files = {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(paths)}
        yield _of_files(f"{root.name}/{entry}", entry, files)


def _of_files(name: str, entry: str, files: dict[str, bytes]) -> Sample:
    return Sample(name, files[entry], real=True, entry=entry, files=tuple(files.items()))
