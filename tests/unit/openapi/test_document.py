import json
from typing import Any

import pytest

from opdex.errors import (
    DocumentEmpty,
    DocumentTooComplex,
    DocumentUnreadable,
    NotOpenApi,
    TooLarge,
    UnsupportedVersion,
)
from opdex.openapi import Limits
from opdex.openapi.description import Findings
from opdex.openapi.document import openapi_version, places, read_document, survey
from opdex.openapi.limits import Budget
from opdex.openapi.numeral import Numeral


def read(raw: bytes, limits: Limits | None = None) -> Any:
    return read_document(raw, Budget(limits or Limits()), Findings())


@pytest.mark.parametrize(
    "raw",
    [
        b'{"openapi": "3.1.0", "a": [1.10, true, null]}',
        b"\xef\xbb\xbf" + b'{"openapi": "3.1.0", "a": [1.10, true, null]}',
        '{"openapi": "3.1.0", "a": [1.10, true, null]}'.encode("utf-16"),
        b"openapi: 3.1.0\na: [1.10, true, null]",
        b"{openapi: 3.1.0, a: [1.10, true, ~]}",
        b'{"openapi": "3.1.0", # YAML, though it begins like JSON\n "a": [1.10, true, null,]}',
        b'{"openapi": "3.1.0", // as in JavaScript\n "a": [1.10, /* , */ true, null,],}',
    ],
)
def test_json_and_yaml_read_the_same_in_any_encoding(raw: bytes) -> None:
    assert read(raw) == {"openapi": "3.1.0", "a": ["1.10", True, None]}


@pytest.mark.parametrize("raw", [b"", b"  \n\t ", b"\xef\xbb\xbf"])
def test_an_empty_document_is_refused(raw: bytes) -> None:
    with pytest.raises(DocumentEmpty):
        read(raw)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"<!DOCTYPE html><html></html>", "HTML"),
        (b"[1, 2]", "a list"),
        (b"hello", "plain text"),
        (b"# only a comment", "empty"),
        (b"true", "a single value"),
    ],
)
def test_what_is_no_mapping_is_refused_by_what_it_is(raw: bytes, message: str) -> None:
    with pytest.raises(NotOpenApi, match=message):
        read(raw)


def test_broken_json_names_line_and_column() -> None:
    with pytest.raises(DocumentUnreadable, match="JSON") as caught:
        read(b'{"openapi": "3.1.0",\n "paths": {]}')
    assert caught.value.details == {"line": 2, "column": 12}


@pytest.mark.parametrize(
    "written", ['"a\tb"', '"a\nb"', '"a", // a comment', '"a" /* another */', '"a,}]", ', '"// a", "b": "/* a */",']
)
def test_loose_json_is_read_with_a_warning_of_where_it_is(written: str) -> None:
    findings = Findings()
    document = read_document(f'{{"a": {written}\n}}'.encode(), Budget(Limits()), findings)
    assert document["a"] == written.split('"')[1]
    (warning,) = findings.warnings()
    assert (warning.code, warning.message.startswith("The document is not valid JSON at line")) == ("loose_json", True)


@pytest.mark.parametrize("piece", ["/*", "//", "/* *", ", ", '"', '"\\', ",\n"])
def test_loose_json_that_never_ends_is_refused(piece: str) -> None:
    with pytest.raises(DocumentUnreadable):
        read(b'{"a": [' + piece.encode() * 500_000)


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_json_nested_past_the_parser_is_refused(opening: bytes) -> None:
    with pytest.raises(DocumentTooComplex) as caught:
        read(opening * 200_000)
    assert caught.value.details["limit"] == "max_depth"


def test_json_with_too_many_nodes_is_refused_before_it_is_built() -> None:
    with pytest.raises(DocumentTooComplex) as caught:
        read(b'{"a": [' + b"[]," * 5000 + b"[]]}", Limits(max_nodes=5000))
    assert caught.value.details == {"limit": "max_nodes", "value": 5000}


def test_commas_and_brackets_inside_json_strings_are_no_nodes() -> None:
    assert read(json.dumps({"a": '{,[",' * 5000}).encode(), Limits(max_nodes=5000))
    assert read(json.dumps({"a": ['{,[",'] * 30_000}).encode(), Limits(max_nodes=30_010))


def test_json_nodes_are_counted_across_all_of_a_long_text() -> None:
    with pytest.raises(DocumentTooComplex):
        read(json.dumps({"a": ['{,[",'] * 30_000}).encode(), Limits(max_nodes=29_000))


def test_a_document_over_the_limit_of_bytes_is_refused() -> None:
    with pytest.raises(TooLarge):
        read(b'{"openapi": "3.1.0"}', Limits(max_bytes=10))


def test_equal_json_keys_are_told_with_their_place() -> None:
    findings = Findings()
    document = read_document(b'{"a": [{"b": 1, "b": 2}]}', Budget(Limits()), findings)
    assert document == {"a": [{"b": "2"}]}
    assert [(w.code, w.pointer) for w in findings.warnings()] == [("duplicate_key", "/a/0/b")]


@pytest.mark.parametrize("version", ["3.0", "3.0.0", "3.0.4", "3.1.0", "3.1.1", "3.2.0", "3.0.0-rc2", "3"])
def test_versions_3_are_taken_as_written(version: str) -> None:
    assert openapi_version({"openapi": version}) == version


def test_a_version_with_a_v_is_taken_without_it() -> None:
    assert openapi_version({"openapi": " v3.1.0 "}) == "3.1.0"


@pytest.mark.parametrize("version", ["2.0", "2", "2.0.0", Numeral("2.0")])
def test_swagger_2_is_taken(version: str) -> None:
    assert openapi_version({"swagger": version}) == "2.0"


@pytest.mark.parametrize(
    "document",
    [
        {"swagger": "1.2"},
        {"swagger": "3.0"},
        {"openapi": "2.0"},
        {"openapi": "4.0.0"},
        {"openapi": "3.3.0"},
        {"openapi": None},
    ],
)
def test_other_versions_are_refused_by_name(document: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedVersion) as caught:
        openapi_version(document)
    assert caught.value.details["pointer"] in ("/openapi", "/swagger")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"info": {}, "item": []}, "Postman"),
        ({"log": {}}, "HAR"),
        ({"asyncapi": "2.6.0"}, "AsyncAPI"),
        ({"swaggerVersion": "1.2"}, "Swagger 1"),
        ({"paths": {}}, "`openapi` or `swagger`"),
    ],
)
def test_other_formats_are_refused_by_name(document: dict[str, Any], message: str) -> None:
    with pytest.raises(NotOpenApi, match=message):
        openapi_version(document)


def test_survey_returns_mappings_with_a_reference() -> None:
    document = {"a": [{"$ref": "#/b"}], "b": {"$ref": {"no": "text"}}}
    assert survey(document, Budget(Limits())) == [{"$ref": "#/b"}]


def test_survey_holds_the_document_to_the_limits() -> None:
    nested: Any = []
    for _ in range(300):
        nested = [nested]
    with pytest.raises(DocumentTooComplex):
        survey({"a": nested}, Budget(Limits()))
    with pytest.raises(DocumentTooComplex):
        survey({"a": [1] * 100}, Budget(Limits(max_nodes=100)))


def test_places_leaves_out_data_but_not_names_that_look_like_it() -> None:
    document = {
        "example": {"no": {}},
        "x-note": {"no": {}},
        "properties": {"example": {"enum": [{}]}, "x-header": {}},
        "list": [{}, 1, [{}]],
    }
    assert [tuple(tokens) for _, tokens in places(document)] == [
        (), ("properties",), ("properties", "example"), ("properties", "x-header"), ("list", 0), ("list", 2, 0),
    ]  # fmt: skip
