"""Documents of many files. OPDEX_CORPUS names where real ones are; the project's own small ones do without it."""

import csv
import json
import os
from pathlib import Path
from typing import Any

import pytest

from opdex.errors import (
    ArchiveUnusable,
    DocumentError,
    DocumentTooComplex,
    DocumentUnreadable,
    MalformedRequest,
    NotOpenApi,
    TooLarge,
    UnsupportedVersion,
)
from opdex.openapi import Description, Limits, describe
from opdex.openapi.bundle import Bundle, bundle, bundle_archive, choose_entry
from tests.zips import packed

CORPUS = Path(os.environ["OPDEX_CORPUS"], "specs") if os.environ.get("OPDEX_CORPUS") else None
FIELD = "x-bundled-files"
HEAD = "openapi: 3.1.0\ninfo: {title: T, version: '1'}\n"
LIMITS = Limits()

LIBRARY = {
    "api/openapi.yaml": HEAD
    + """
paths:
  /books:
    $ref: paths/books.yaml
  /books/{isbn}:
    $ref: "./paths/book%20by%20isbn.yaml#/item"
  /loans:
    post:
      $ref: ../shared/loans.json#/operations/0
components:
  parameters:
    Limit: {name: limit, in: query, schema: {type: integer, maximum: 100}}
""",
    "api/paths/books.yaml": """
get:
  summary: List books
  parameters:
    - $ref: ../openapi.yaml#/components/parameters/Limit
  responses:
    '200':
      description: {$ref: ../../texts/books.md}
      content: {application/json: {schema: {$ref: ../schemas/book.yaml}}}
""",
    "api/paths/book by isbn.yaml": """
item:
  parameters:
    - $ref: '#/isbn'
  get: {summary: Read a book}
isbn: {name: isbn, in: path, required: true, schema: {type: string}}
""",
    "api/schemas/book.yaml": "type: object\nproperties:\n  author: {$ref: author.yaml}\n",
    "api/schemas/author.yaml": "type: object\nproperties:\n  books: {type: array, items: {$ref: ./book.yaml}}\n",
    "shared/loans.json": '{"operations": [{"summary": "Lend a book", "operationId": "lend"}]}',
    "texts/books.md": "All of the books.\n",
    "unused.yaml": "nobody: refers to this\n",
}


def as_bytes(files: dict[str, str]) -> dict[str, bytes]:
    return {name: content.encode() for name, content in files.items()}


def bundled(files: dict[str, str], entry: str, limits: Limits = LIMITS) -> tuple[dict[str, Any], Bundle]:
    made = bundle(as_bytes(files), entry, limits)
    return json.loads(made.content), made


def described(files: dict[str, str], entry: str) -> Description:
    made = bundle(as_bytes(files), entry, LIMITS)
    assert made.warnings == ()
    return describe(made.content)


def warned(files: dict[str, str], entry: str = "a.yaml") -> list[tuple[str, str]]:
    _, made = bundled(files, entry)
    return [(warning.code, warning.pointer) for warning in made.warnings]


def test_operations_in_other_files_are_found_with_what_they_refer_to() -> None:
    description = described(LIBRARY, "api/openapi.yaml")
    assert description.warnings == ()
    assert [(o.method, o.path, o.summary) for o in description.operations] == [
        ("GET", "/books", "List books"),
        ("GET", "/books/{isbn}", "Read a book"),
        ("POST", "/loans", "Lend a book"),
    ]


def test_bundle_has_each_file_once_and_only_what_is_referred_to() -> None:
    document, _ = bundled(LIBRARY, "api/openapi.yaml")
    assert list(document[FIELD]) == [
        "api/paths/book by isbn.yaml", "api/paths/books.yaml", "api/schemas/author.yaml", "api/schemas/book.yaml",
        "shared/loans.json", "texts/books.md",
    ]  # fmt: skip
    assert document["paths"]["/books"] == {"$ref": f"#/{FIELD}/api~1paths~1books.yaml"}
    assert document["paths"]["/books/{isbn}"] == {"$ref": f"#/{FIELD}/api~1paths~1book%20by%20isbn.yaml/item"}


def test_files_that_refer_to_each_other_in_a_circle_stay_two() -> None:
    document, _ = bundled(LIBRARY, "api/openapi.yaml")
    book, author = (document[FIELD][f"api/schemas/{name}.yaml"] for name in ("book", "author"))
    assert book["properties"]["author"] == {"$ref": f"#/{FIELD}/api~1schemas~1author.yaml"}
    assert author["properties"]["books"]["items"] == {"$ref": f"#/{FIELD}/api~1schemas~1book.yaml"}


def test_a_reference_to_the_entry_leads_to_the_document_itself() -> None:
    document, _ = bundled(LIBRARY, "api/openapi.yaml")
    parameters = document[FIELD]["api/paths/books.yaml"]["get"]["parameters"]
    assert parameters == [{"$ref": "#/components/parameters/Limit"}]


def test_a_reference_to_a_single_value_becomes_the_value() -> None:
    document, _ = bundled(LIBRARY, "api/openapi.yaml")
    assert document[FIELD]["api/paths/books.yaml"]["get"]["responses"]["200"]["description"] == "All of the books.\n"


def test_numbers_stay_numbers_and_versions_text() -> None:
    files = {
        "a.yaml": HEAD + "paths:\n  /x: {$ref: b.yaml}\n",
        "b.yaml": "x-b: [1, 2.5, -3, '4', 1.10, 1e3, true, null, 2024-01-01, 012]\n",
    }
    document, _ = bundled(files, "a.yaml")
    assert document[FIELD]["b.yaml"]["x-b"] == [1, 2.5, -3, "4", "1.10", "1e3", True, None, "2024-01-01", "012"]


def test_the_same_files_give_the_same_octets_however_they_are_packed() -> None:
    forth, back = packed(LIBRARY), packed(dict(reversed(LIBRARY.items())))
    assert forth != back
    made = [bundle_archive(raw, "api/openapi.yaml", LIMITS) for raw in (forth, back)]
    assert made[0] == made[1]


def test_a_document_of_one_file_is_kept_as_it_is() -> None:
    written = HEAD + "# ours\nx: 1.10\npaths:\n  /x: {$ref: '#/paths/~1y'}\n  /x: {get: {}}\n"
    made = bundle(as_bytes({"a.yaml": written, "unused.yaml": "x: y"}), "a.yaml", LIMITS)
    assert made == Bundle(written.encode(), ())


def test_half_a_surrogate_pair_stays_one() -> None:
    document, _ = bundled({"a.json": '{"openapi": "3.1.0", "x": "\\ud800", "y": {"$ref": "b"}}', "b": "[]"}, "a.json")
    assert document["x"] == "\ud800"


@pytest.mark.parametrize(
    ("entry", "reference", "target"),
    [
        ("a.yaml", "b.yaml", "b.yaml"),
        ("a.yaml", "./x/../b.yaml", "b.yaml"),
        ("a.yaml", "x%2Fb.yaml", "x/b.yaml"),
        ("a.yaml", "/x/b.yaml", "x/b.yaml"),
        ("x/a.yaml", "b.yaml", "x/b.yaml"),
        ("x/a.yaml", "../b.yaml", "b.yaml"),
        ("x/a.yaml", "/b.yaml", "b.yaml"),
        ("x/a.yaml", "%2e%2e/b.yaml", "b.yaml"),
        ("x/a.yaml", ".\\y\\b.yaml", "x/y/b.yaml"),
        ("a.yaml", "caf\u00e9.yaml", "caf\u00e9.yaml"),
        ("a.yaml", "cafe\u0301.yaml", "caf\u00e9.yaml"),
        ("a.yaml", "caf%C3%A9.yaml", "caf\u00e9.yaml"),
        ("a.yaml", "100%25~a.yaml", "100%~a.yaml"),
        ("a.yaml", "b.yaml#", "b.yaml"),
        ("a.yaml", "b.yaml#/", "b.yaml"),
    ],
)
def test_a_relative_reference_is_resolved_against_its_file(entry: str, reference: str, target: str) -> None:
    files = {entry: HEAD + f"paths:\n  /x: {{$ref: '{reference}'}}\n", target: "get: {summary: Found}\n"}
    description = described(files, entry)
    assert [operation.summary for operation in description.operations] == ["Found"]
    assert description.warnings == ()


@pytest.mark.parametrize(
    "reference",
    [
        "../outside.yaml", "/../../etc/passwd", "file:///etc/passwd", "https://example.com/b.yaml",
        "//example.com/b.yaml", "C:\\b.yaml", "b.yaml?x=1", "..", "b.yaml#Anchor", "http://169.254.169.254/latest",
    ],
)  # fmt: skip
def test_what_is_not_in_the_archive_is_not_followed_but_warned_of(reference: str) -> None:
    files = {
        "a.yaml": HEAD + f"paths:\n  /x: {{$ref: '{reference}'}}\n  /y: {{$ref: b.yaml}}\n",
        "b.yaml": "get: {summary: Y}",
    }
    document, _ = bundled(files, "a.yaml")
    assert document["paths"]["/x"] == {"$ref": reference}
    description = describe(json.dumps(document).encode())
    assert [(w.code, w.pointer) for w in description.warnings] == [("external_reference", "/paths/~1x")]
    assert len(description.operations) == 1


def test_nothing_is_read_from_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "b.yaml").write_text("get: {summary: Secret}")
    monkeypatch.chdir(tmp_path)
    for reference in ("b.yaml", "./b.yaml", str(tmp_path / "b.yaml"), (tmp_path / "b.yaml").as_uri()):
        made = bundle(as_bytes({"a.yaml": HEAD + f"paths:\n  /x: {{$ref: '{reference}'}}\n"}), "a.yaml", LIMITS)
        assert b"Secret" not in made.content


def test_a_missing_file_is_warned_of_once_and_where_it_is_referred_to_first() -> None:
    files = {"a.yaml": HEAD + "paths:\n  /x: {$ref: gone.yaml}\n  /y: {$ref: gone.yaml#/y}\n"}
    assert warned(files) == [("missing_file", "/paths/~1x")]


def test_a_missing_file_is_warned_of_within_the_file_that_refers_to_it() -> None:
    files = {"a.yaml": HEAD + "paths:\n  /x: {$ref: b.yaml}\n", "b.yaml": "get: {$ref: gone.yaml}\n"}
    assert ("missing_file", "/x-bundled-files/b.yaml/get") in warned(files)


def test_a_missing_file_is_warned_of_without_a_place_when_an_example_refers_to_it() -> None:
    files = {"a.yaml": HEAD + "paths: {}\nx-more: {$ref: gone.yaml}\n"}
    assert warned(files) == [("missing_file", "")]


def test_what_is_wrong_in_a_file_is_warned_of_at_its_place_in_the_bundle() -> None:
    files = {
        "a.yaml": HEAD + "paths:\n  /x: {$ref: b.yaml}\n",
        "b.yaml": "get:\n  summary: One\n  summary: Two\n  responses: {'200': {$ref: '#/nowhere'}}\n"
        "  parameters: [{$ref: 'http://example.com/'}]\n",
    }
    assert warned(files) == [
        ("duplicate_key", f"/{FIELD}/b.yaml/get/summary"),
        ("unresolved_reference", f"/{FIELD}/b.yaml/get/responses/200"),
        ("unresolved_reference", f"/{FIELD}/b.yaml/get/parameters/0"),
    ]


@pytest.mark.parametrize("content", ["", "{", "a: b: c", "<html>", "\x00"])
def test_a_file_that_cannot_be_read_is_a_warning_and_the_rest_is_kept(content: str) -> None:
    files = {"a.yaml": HEAD + "paths:\n  /x: {$ref: b.yaml}\n  /y: {get: {}}\n", "b.yaml": content}
    document, made = bundled(files, "a.yaml")
    assert [warning.code for warning in made.warnings] == ["unreadable_file"]
    assert "'b.yaml'" in made.warnings[0].message
    assert [operation.path for operation in describe(made.content).operations] == ["/y"]
    assert FIELD not in document


def test_a_file_may_hold_a_list_or_a_single_value() -> None:
    files = {
        "a.yaml": HEAD + "tags: {$ref: tags.json}\npaths:\n  /x: {get: {summary: {$ref: summary.yaml}}}\n",
        "tags.json": '[{"name": "one"}]',
        "summary.yaml": "Do it",
    }
    document, made = bundled(files, "a.yaml")
    assert document["tags"] == [{"name": "one"}]
    assert describe(made.content).operations[0].summary == "Do it"


def test_what_the_specification_has_no_references_for_is_put_in_their_place() -> None:
    files = {
        "a.yaml": "openapi: 3.0.3\ninfo: {$ref: info.yaml}\nservers: {$ref: servers.yaml}\n"
        "paths: {$ref: paths/_index.yaml}\n",
        "info.yaml": "title: Parts\nversion: '1'\n",
        "servers.yaml": "- url: https://example.com/v1\n",
        "paths/_index.yaml": "/x: {$ref: x.yaml}\n",
        "paths/x.yaml": "get: {summary: X}\n",
    }
    description = described(files, "a.yaml")
    assert (description.title, description.base_path) == ("Parts", "/v1")
    assert [operation.summary for operation in description.operations] == ["X"]


def test_what_a_file_takes_for_the_entrys_is_found_there_with_a_warning() -> None:
    files = {
        "a.yaml": HEAD + "paths:\n  /x: {$ref: x.yaml}\ncomponents: {parameters: {P: {name: p, in: query}}}\n",
        "x.yaml": "get: {parameters: [{$ref: '#/components/parameters/P'}]}\n",
    }
    document, made = bundled(files, "a.yaml")
    assert [warning.code for warning in made.warnings] == ["reference_to_entry"]
    assert document[FIELD]["x.yaml"]["get"]["parameters"] == [{"$ref": "#/components/parameters/P"}]


def test_a_field_of_the_name_that_the_bundle_uses_is_left_alone() -> None:
    files = {"a.yaml": HEAD + f"{FIELD}: mine\npaths:\n  /x: {{$ref: b.yaml}}\n", "b.yaml": "get: {}"}
    document, _ = bundled(files, "a.yaml")
    assert document[FIELD] == "mine"
    assert document[f"{FIELD}-"] == {"b.yaml": {"get": {}}}


def test_aliases_within_a_file_are_written_out() -> None:
    files = {
        "a.yaml": HEAD + "paths:\n  /x: {$ref: b.yaml}\n",
        "b.yaml": "get: &a {responses: {'200': {$ref: c.yaml}}}\nput: *a\n",
        "c.yaml": "description: Done\n",
    }
    document, _ = bundled(files, "a.yaml")
    assert document[FIELD]["b.yaml"]["get"] == document[FIELD]["b.yaml"]["put"]
    assert document[FIELD]["b.yaml"]["put"]["responses"]["200"] == {"$ref": f"#/{FIELD}/c.yaml"}


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("a: [", DocumentUnreadable),
        ("just text", NotOpenApi),
        ("title: no version", NotOpenApi),
        ("openapi: 4.0.0", UnsupportedVersion),
    ],
)
def test_an_entry_that_is_no_description_is_refused(content: str, error: type[DocumentError]) -> None:
    with pytest.raises(error):
        bundled({"a.yaml": content}, "a.yaml")


LONG_TEXT = {
    "a.yaml": HEAD + "paths: {$ref: b.yaml}\n",
    "b.yaml": f"x-t: &t {'t' * 10_000}\nx-a: [{', '.join(['*t'] * 1000)}]\n",
}
FOLDER = "/".join(["d" * 90] * 5)
LONG_NAMES = {
    "a.yaml": HEAD + f"paths: {{$ref: {FOLDER}/b.yaml}}\n",
    f"{FOLDER}/b.yaml": "\n".join(f"- $ref: '{n}'" for n in range(20_000)),
}
MANY_NODES = {
    "a.yaml": HEAD + "x-first: {$ref: 0.yaml}\n",
    **{f"{n}.yaml": f"next: {{$ref: {n + 1}.yaml}}\nmany: [{', '.join('x' * 40)}]\n" for n in range(40)},
}
ITSELF = {"a.yaml": "openapi: 3.1.0\ninfo: {$ref: b.yaml}\n", "b.yaml": "$ref: a.yaml"}


@pytest.mark.parametrize(
    ("files", "limits", "error", "limit"),
    [
        (LONG_TEXT, Limits(max_bytes=1_000_000), TooLarge, "max_bytes"),
        (LONG_NAMES, Limits(max_bytes=1_000_000), TooLarge, "max_bytes"),
        (MANY_NODES, Limits(max_nodes=1000), DocumentTooComplex, "max_nodes"),
        (MANY_NODES, Limits(max_seconds=0), DocumentTooComplex, "max_seconds"),
        (ITSELF, LIMITS, DocumentTooComplex, "max_depth"),
    ],
)
def test_a_bundle_that_passes_a_limit_is_refused_by_its_name(
    files: dict[str, str], limits: Limits, error: type[DocumentError | TooLarge], limit: str
) -> None:
    with pytest.raises(error) as refused:
        bundled(files, "a.yaml", limits)
    assert refused.value.details["limit"] == limit
    assert refused.value.details["value"] == getattr(limits, limit)


@pytest.mark.parametrize(
    ("names", "entry", "chosen"),
    [
        (["a.yaml"], None, "a.yaml"),
        (["a.yaml", "x/b.yaml"], "x/b.yaml", "x/b.yaml"),
        (["a.yaml", "x/b.yaml"], "./x/b.yaml", "x/b.yaml"),
        (["caf\u00e9.yaml", "b.yaml"], "cafe\u0301.yaml", "caf\u00e9.yaml"),
    ],
)
def test_the_entry_is_the_file_that_is_named_or_the_only_one(names: list[str], entry: str | None, chosen: str) -> None:
    assert choose_entry(dict.fromkeys(names, b"openapi: 3.1.0"), entry) == chosen


@pytest.mark.parametrize(
    "content",
    [b"openapi: 3.1.0\n", b"---\n# ours\n'swagger': '2.0'\n", b'{"openapi": "3.0.0"}', b'{\n  "swagger": "2.0"\n}'],
)
def test_the_entry_is_the_only_file_that_says_which_version_it_follows(content: bytes) -> None:
    files = {"a.yaml": b"type: object", "b": content, "c.md": b"Our openapi: nice"}
    assert choose_entry(files, None) == "b"


@pytest.mark.timeout(60)
def test_names_and_files_whose_comparison_takes_the_square_of_their_length_are_not_compared() -> None:
    marks = "a" + "\u0301\u0316" * 200_000  # minutes to put in order
    bundle(as_bytes({"a.yaml": HEAD + f"x: {{$ref: '{marks}'}}\npaths: {{}}\n"}), "a.yaml", LIMITS)
    with pytest.raises(MalformedRequest):
        choose_entry(dict.fromkeys("abcdefgh", b"\n" * 65_536), None)
    with pytest.raises(ArchiveUnusable):
        bundle_archive(packed({marks[:30_000]: "x"}), None, LIMITS)


@pytest.mark.parametrize(
    ("files", "entry", "listed"),
    [
        ({"a.yaml": b"openapi: 3.1.0", "b.yaml": b"openapi: 3.1.0", "c": b""}, None, ["'a.yaml'", "'b.yaml'"]),
        ({"a.yaml": b"openapi: 3.1.0", "b.yaml": b""}, "c.yaml", ["'a.yaml'"]),
        ({"a.yaml": b"", "b.yaml": b""}, "../a.yaml", ["'a.yaml'", "'b.yaml'"]),
        ({"a.yaml": b""}, "", ["'a.yaml'"]),
        ({}, None, []),
        ({f"{n:02}": b"" for n in range(50)}, None, [f"'{n:02}'" for n in range(10)]),
    ],
)
def test_an_entry_that_is_not_known_is_asked_for_with_what_it_may_be(
    files: dict[str, bytes], entry: str | None, listed: list[str]
) -> None:
    with pytest.raises(MalformedRequest) as refused:
        choose_entry(files, entry)
    assert "`entry`" in refused.value.message
    assert refused.value.details["fields"][0]["name"] == "entry"
    assert refused.value.details["files"] == listed


def operations_of_index(corpus: Path) -> dict[str, int]:
    with (corpus / "INDEX.tsv").open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return {row["file"].removeprefix("specs/"): int(row["operations"]) for row in rows}


def files_below(root: Path, *patterns: str) -> dict[str, bytes]:
    paths = [path for pattern in patterns for path in root.glob(pattern) if path.is_file()]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


DOCUMENTS = [(as_bytes(LIBRARY), "api/openapi.yaml", 3)]
if CORPUS is not None:
    OPERATIONS = operations_of_index(CORPUS)
    for folder, entry, patterns in (
        ("digitalocean_multifile", "DigitalOcean-public.v2.yaml", ["**/*"]),
        ("", "deep_circular.yaml", ["deep_circular.yaml", "definitions/*"]),
    ):
        DOCUMENTS.append((files_below(CORPUS / folder, *patterns), entry, OPERATIONS[f"{folder}/{entry}".lstrip("/")]))


@pytest.mark.parametrize(("files", "entry", "operations"), DOCUMENTS, ids=[entry for _, entry, _ in DOCUMENTS])
def test_a_document_of_many_files_is_taken_with_every_operation(
    files: dict[str, bytes], entry: str, operations: int
) -> None:
    made = bundle_archive(packed(files), entry, LIMITS)
    assert made.warnings == ()
    description = describe(made.content)
    assert len(description.operations) == operations
    assert not [warning for warning in description.warnings if "reference" in warning.code]
