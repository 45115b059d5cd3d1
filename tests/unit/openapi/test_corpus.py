"""Real and hostile documents: those of the corpus that OPDEX_CORPUS names, else the project's own examples."""

import csv
import gzip
import os
import random
import re
from pathlib import Path

import pytest

from opdex.errors import DocumentError, TooLarge
from opdex.openapi import Description, Limits, describe, unpack
from tests.unit.openapi.confined import DiedError, read_confined

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
CORPUS = Path(os.environ["OPDEX_CORPUS"]) if os.environ.get("OPDEX_CORPUS") else None
HARMFUL = re.compile("[\x00\ud800-\udfff]")


def rows(table: str) -> list[dict[str, str]]:
    if CORPUS is None:
        return []
    with (CORPUS / table).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


REAL: list[tuple[Path, int]] = [
    *((EXAMPLES / name, count) for name, count in (("library.yaml", 49), ("parking.json", 5), ("weather.json", 4))),
    *((Path(CORPUS or "", row["file"]), int(row["operations"])) for row in rows("specs/INDEX.tsv")),
]
HOSTILE: dict[str, bytes] = {
    "empty": b"",
    "html": b"<html>",
    "swagger 1": b"swagger: '1.2'",
    "half of utf-16": b"\xff\xfe\x00",
    "alias to itself": b"a: &a [*a, *a]",
    "arrays": b"[" * 100_000,
    "objects": b'{"a":' * 100_000,
    "block lists": b"- " * 100_000,
    "flow lists": b"[" * 20_000 + b"]" * 20_000,
    # Packed, these are small enough to be sent.
    "packed spaces": gzip.compress(b" " * 100_000_000),
    "packed lists": gzip.compress(b'{"a": [' + b"[]," * 15_000_000 + b"[]]}"),
    "packed objects": gzip.compress(b'{"paths": {' + b'"": {},' * 7_000_000 + b'"": {}}}'),
}
MALFORMED: list[tuple[str, bytes | Path, str, int, bool]] = [
    *((name, raw, "reject", 0, False) for name, raw in HOSTILE.items()),
    *(
        (
            row["file"], Path(CORPUS or "", "malformed", row["file"]), row["expected"],
            int(row["operations"].replace("-", "0")), "with warning" in row["why"],
        )
        for row in rows("malformed/MALFORMED.tsv")
    ),
]  # fmt: skip
SECONDS, EXTRA_BYTES = 2, 512 * 1024 * 1024


def attempt(raw: bytes) -> Description | DocumentError | TooLarge:
    try:
        return describe(raw)
    except (DocumentError, TooLarge) as error:
        return error


def read(path: Path) -> bytes:
    return unpack(path.read_bytes(), Limits().max_bytes)


def assert_storable(description: Description) -> None:
    for operation in description.operations:
        texts = {
            operation.operation_id: 500, operation.path: 2000, operation.summary: 1000, operation.description: 8000,
            operation.text: 5000, **dict.fromkeys(operation.tags, 100),
        }  # fmt: skip
        for text, limit in texts.items():
            assert len(text) <= limit
            assert not HARMFUL.search(text)
    ids = [operation.operation_id for operation in description.operations]
    assert len(set(ids)) == len(ids)
    for warning in description.warnings:
        assert not HARMFUL.search(warning.message + warning.pointer)


@pytest.mark.parametrize(("path", "operations"), REAL, ids=[path.name for path, _ in REAL])
def test_a_real_document_is_taken_with_every_operation(path: Path, operations: int) -> None:
    description = describe(read(path))
    assert len(description.operations) == operations
    assert_storable(description)


@pytest.mark.parametrize("path", sorted(EXAMPLES.iterdir()), ids=lambda path: path.name)
def test_an_example_has_nothing_to_warn_of(path: Path) -> None:
    assert describe(read(path)).warnings == ()


@pytest.mark.parametrize(
    ("source", "expected", "operations", "warns"),
    [fields for _, *fields in MALFORMED],
    ids=[name for name, *_ in MALFORMED],
)
def test_a_malformed_document_ends_as_expected_within_its_limits(
    source: Path | bytes, expected: str, operations: int, warns: bool
) -> None:
    raw = source.read_bytes() if isinstance(source, Path) else source
    outcome = read_confined(raw, seconds=SECONDS, extra_bytes=EXTRA_BYTES)
    if isinstance(outcome, Description):
        assert expected in ("accept", "either")
        assert len(outcome.operations) >= operations
        assert outcome.warnings or not warns
        assert_storable(outcome)
    else:
        assert expected in ("reject", "either"), outcome.message
        assert isinstance(outcome, DocumentError | TooLarge)
        assert outcome.message


@pytest.mark.parametrize(("seconds", "extra_bytes"), [(1, 4 * 2**30), (30, 2**24)], ids=["time", "memory"])
def test_a_process_that_passes_its_limits_is_told_from_one_that_refuses(seconds: int, extra_bytes: int) -> None:
    raw = gzip.compress(b"- []\n" * 12_000_000)
    with pytest.raises(DiedError):
        read_confined(raw, seconds=seconds, extra_bytes=extra_bytes, limits=Limits(max_nodes=100_000_000))


def test_no_mutation_of_a_document_gets_anything_but_an_answer_or_a_document_error() -> None:
    chance = random.Random(20_26)  # the same run every time
    samples = [path.read_bytes() for path, _ in REAL if path.suffix != ".gz" and path.stat().st_size < 30_000]
    samples += [source if isinstance(source, bytes) else source.read_bytes() for _, source, *_ in MALFORMED]
    pieces = [
        *(bytes([n]) for n in b'{}[]":,\n\t-&*!|>?%\0\xff'), b"<<: *a", b"&a ", b"*a", b"$ref: '#/paths'", b"\\ud800",
        b"\\u0000", b"null", b"get:", b"---\n", b"\xef\xbb\xbf", b"!!binary ", b"9" * 5000,
    ]  # fmt: skip
    for _ in range(3000):
        raw = bytearray(chance.choice(samples))
        for _ in range(chance.choice([1, 1, 2, 5])):
            start = chance.randrange(len(raw) + 1)
            end = start + chance.choice([0, 0, 1, 5, 100])
            raw[start:end] = chance.choice([*pieces, bytes(raw[start:end]) * 3])
        outcome = attempt(bytes(raw))
        if isinstance(outcome, Description):
            assert_storable(outcome)
        else:
            assert not HARMFUL.search(outcome.message)
