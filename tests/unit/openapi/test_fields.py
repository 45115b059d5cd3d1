"""What search by words knows around an operation, whatever the document's version, shape or ill will."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opdex.openapi import Description, describe
from opdex.openapi.description import Fields
from opdex.openapi.fields import MAX_LINE, MAX_NAMES, MAX_TEXT
from tests.unit.openapi.test_corpus import MALFORMED, REAL, attempt, read

_HARMFUL = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


def fields_of(item: dict[str, Any], **document: Any) -> Fields:
    """Return the fields of the one operation of the path item."""
    whole = {"openapi": "3.1.0", "info": {"title": "T", "version": "1"}, "paths": {"/x/{id}": item}, **document}
    (operation,) = describe(json.dumps(whole).encode()).operations
    return operation.fields


def answering(schema: Any, **components: Any) -> Fields:
    """Return the fields of an operation that answers with the schema."""
    content = {"application/json": {"schema": schema}}
    return fields_of(
        {"get": {"responses": {"200": {"description": "Good", "content": content}}}}, components={"schemas": components}
    )


def test_parameters_are_named_when_the_path_item_and_the_operation_have_some() -> None:
    fields = fields_of({
        "parameters": [{"name": "id", "in": "path", "description": "Which one."}],
        "get": {"parameters": [{"name": "pageSize", "in": "query"}, {"name": "X-Trace", "in": "header"}]},
    })  # fmt: skip
    assert fields.parameters == "id pageSize X-Trace"
    assert fields.path_parameters == "id"
    assert fields.parameter_descriptions == "Which one."


def test_parameters_are_named_when_they_are_references_to_references() -> None:
    components = {
        "parameters": {
            "Id": {"$ref": "#/components/parameters/Real"},
            "Real": {"name": "petId", "in": "path", "description": "The\n pet's\tid."},
            "Circle": {"$ref": "#/components/parameters/Circle"},
        }
    }
    references = [{"$ref": f"#/components/parameters/{name}"} for name in ("Id", "Circle", "Missing")]
    fields = fields_of({"get": {"parameters": references}}, components=components)
    assert (fields.parameters, fields.path_parameters) == ("petId", "petId")
    assert fields.parameter_descriptions == "The pet's id."


def test_names_are_told_once_when_they_are_repeated() -> None:
    twice = [{"name": "id", "in": "path"}, {"name": "id", "in": "query"}]
    assert fields_of({"get": {"parameters": twice}}).parameters == "id"


def test_body_is_that_of_the_parameter_when_the_document_is_openapi_2() -> None:
    document = {
        "swagger": "2.0",
        "info": {"title": "T", "version": "1"},
        "parameters": {"Pet": {"in": "body", "name": "body", "schema": {"$ref": "#/definitions/Pet"}}},
        "definitions": {"Pet": {"properties": {"name": {}, "age": {}}}},
        "paths": {
            "/pets": {
                "post": {
                    "parameters": [{"$ref": "#/parameters/Pet"}],
                    "responses": {201: {"description": "Made", "schema": {"$ref": "#/definitions/Pet"}}},
                },
                "put": {"parameters": [{"in": "formData", "name": "photo", "type": "file"}]},
            }
        },
    }
    posted, put = describe(json.dumps(document).encode()).operations
    assert posted.fields == Fields(
        body_properties="name age",
        response_description="Made",
        response_schema="Pet",
        response_properties="name age",
    )
    assert put.fields == Fields(body_properties="photo")


def test_body_is_that_of_each_media_type_when_the_document_is_openapi_3() -> None:
    body: dict[str, Any] = {
        "content": {
            "application/json": {"schema": {"properties": {"name": {}}}},
            "text/xml": {"schema": {"properties": {"title": {}}}},
        }
    }
    fields = fields_of(
        {"post": {"requestBody": {"$ref": "#/components/requestBodies/Pet"}}},
        components={"requestBodies": {"Pet": body}},
    )
    assert fields.body_properties == "name title"


@pytest.mark.parametrize(
    ("codes", "said"),
    [
        (["404", "201", "200"], "201"),
        (["default", "404"], "default"),
        (["2XX", "default"], "2XX"),
        (["404", "500"], ""),
    ],
)
def test_answer_is_the_first_good_one_else_the_default_when_there_are_several(codes: list[str], said: str) -> None:
    responses = {code: {"description": code} for code in codes}
    assert fields_of({"get": {"responses": responses}}).response_description == said


def test_answer_is_found_when_its_code_is_a_number_of_yaml() -> None:
    raw = b"openapi: 3.0.0\ninfo: {title: T}\npaths: {/x: {get: {responses: {200: {description: Fine}}}}}"
    (operation,) = describe(raw).operations
    assert operation.fields.response_description == "Fine"


@pytest.mark.parametrize("wrapper", ["items", "results", "data", "entries"])
def test_schema_in_a_wrapper_is_named_when_the_answer_is_a_list(wrapper: str) -> None:
    pet: dict[str, Any] = {"properties": {"name": {}}}
    fields = answering(
        {"$ref": "#/components/schemas/PetPage"},
        Pet=pet,
        PetPage={
            "properties": {"total": {}, wrapper: {"type": "array", "items": {"$ref": "#/components/schemas/Pet"}}}
        },
    )
    assert fields.response_schema == "PetPage Pet"
    assert fields.response_properties == f"total {wrapper} name"


@pytest.mark.parametrize("keyword", ["allOf", "oneOf", "anyOf"])
def test_schemas_are_named_when_they_are_combined(keyword: str) -> None:
    parts = [{"$ref": "#/components/schemas/Animal"}, {"properties": {"name": {}}}]
    fields = answering({"properties": {"own": {}}, keyword: parts}, Animal={"properties": {"legs": {}}})
    assert (fields.response_schema, fields.response_properties) == ("Animal", "own legs name")


def test_schema_is_read_when_it_contains_itself() -> None:
    node = {"properties": {"value": {}, "items": {"$ref": "#/components/schemas/Node"}}}
    fields = answering({"$ref": "#/components/schemas/Node"}, Node=node)
    assert (fields.response_schema, fields.response_properties) == ("Node", "value items")


def test_schema_is_not_read_further_when_it_is_deep() -> None:
    deep: dict[str, Any] = {"properties": {"deepest": {}}}
    for level in range(6):
        deep = {"properties": {f"level{level}": {}}, "items": deep}
    assert answering(deep).response_properties == "level5 level4 level3 level2"


def test_lines_are_bounded_when_the_names_are_long_and_many() -> None:
    named: dict[str, Any] = {f"name{number} " + "x" * 500: {} for number in range(500)}
    parameters = [{"name": name, "in": "query", "description": "y" * 5000} for name in named]
    schema = {"properties": named}
    content = {"content": {"a/b": {"schema": schema}}}
    fields = fields_of({"post": {"parameters": parameters, "requestBody": content, "responses": {"200": content}}})
    for line in (fields.parameters, fields.body_properties, fields.response_properties):
        assert 100 < len(line) <= MAX_LINE
    assert len(fields.parameter_descriptions) == MAX_TEXT


def test_hundred_names_are_kept_when_a_schema_has_more() -> None:
    named: dict[str, Any] = {f"n{number}": {} for number in range(1_000)}
    assert answering({"properties": named}).response_properties.split() == list(named)[:MAX_NAMES]


def test_fields_of_all_operations_are_bounded_when_one_large_schema_is_everywhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    large: dict[str, Any] = {"properties": {f"{number} " + "x" * 50: {} for number in range(100)}}
    content = {"content": {"a/b": {"schema": {"$ref": "#/components/schemas/Large"}}}}
    item = {"post": {"requestBody": content, "responses": {"200": content}}}
    monkeypatch.setattr("opdex.openapi.fields.MAX_CHARACTERS", 20_000)
    document = {
        "openapi": "3.1.0",
        "info": {"title": "T"},
        "components": {"schemas": {"Large": large}},
        "paths": {f"/{number}": item for number in range(20)},
    }
    operations = describe(json.dumps(document).encode()).operations
    lengths = [
        len(operation.fields.body_properties) + len(operation.fields.response_properties) for operation in operations
    ]
    assert lengths[0] > MAX_LINE
    assert lengths[-1] == 0
    assert sum(lengths) <= 20_000 + 2 * MAX_LINE


def test_names_are_few_when_schemas_combine_each_other_over_and_over() -> None:
    def leading_to(name: str) -> dict[str, Any]:
        return {keyword: [{"$ref": f"#/components/schemas/{name}"}] * 8 for keyword in ("allOf", "oneOf", "anyOf")}

    schemas = {"A": leading_to("B"), "B": leading_to("C"), "C": leading_to("D"), "D": {}}
    content = {f"a/{number}": {"schema": {"$ref": "#/components/schemas/A"}} for number in range(8)}
    document = {
        "openapi": "3.1.0",
        "info": {"title": "T"},
        "components": {"schemas": schemas},
        "paths": {f"/{number}": {"get": {"responses": {"200": {"content": content}}}} for number in range(100)},
    }
    operations = describe(json.dumps(document).encode()).operations
    assert {operation.fields.response_schema for operation in operations} == {"A B C D"}


ODD: list[Any] = [None, True, 7, "text", [], {}, [[]], [None], {"$ref": 7}, {"$ref": "#"}, {"$ref": "#/paths"}, [{}]]


@pytest.mark.parametrize("odd", ODD, ids=repr)
@pytest.mark.parametrize(
    "put",
    [
        lambda odd: {"parameters": odd, "get": {}},
        lambda odd: {"get": {"parameters": odd}},
        lambda odd: {"get": {"parameters": [odd]}},
        lambda odd: {"get": {"parameters": [{"name": odd, "in": odd, "description": odd}]}},
        lambda odd: {"get": {"parameters": [{"in": "body", "schema": odd}]}},
        lambda odd: {"post": {"requestBody": odd}},
        lambda odd: {"post": {"requestBody": {"content": odd}}},
        lambda odd: {"post": {"requestBody": {"content": {"a/b": odd}}}},
        lambda odd: {"post": {"requestBody": {"content": {"a/b": {"schema": odd}}}}},
        lambda odd: {"get": {"responses": odd}},
        lambda odd: {"get": {"responses": {"200": odd}}},
        lambda odd: {"get": {"responses": {"200": {"description": odd, "content": odd, "schema": odd}}}},
        lambda odd: {"get": {"responses": {"200": {"schema": {"properties": odd, "items": odd, "allOf": odd}}}}},
        lambda odd: {"get": {"responses": {"200": {"schema": {"properties": {"items": odd}, "oneOf": [odd]}}}}},
    ],
)  # fmt: skip
def test_nothing_fails_when_another_shape_is_where_one_is_expected(put: Any, odd: Any) -> None:
    whole = {"openapi": "3.1.0", "info": {"title": "T"}, "paths": {"/x/{id}": put(odd)}}
    assert_clean_or_refused(json.dumps(whole).encode())


_REFERENCES = st.sampled_from(["#/x", "#/paths", "#/c/a", "path"])
_NAMES = st.sampled_from([
    "$ref", "parameters", "name", "in", "schema", "requestBody", "content", "responses", "200", "default", "items",
    "properties", "allOf", "oneOf", "data", "description",
])  # fmt: skip
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | _REFERENCES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=4),
    max_leaves=15,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(item=_JSON, operation=_JSON, components=_JSON)
def test_nothing_fails_when_the_document_is_any_json(item: Any, operation: Any, components: Any) -> None:
    node = {**(item if isinstance(item, dict) else {}), "get": operation}
    whole = {"openapi": "3.1.0", "info": {"title": "T"}, "paths": {"/x": node}, "x": item, "c": {"a": components}}
    assert_clean_or_refused(json.dumps(whole).encode())


@pytest.mark.parametrize("path", [path for path, _ in REAL], ids=lambda path: path.name)
def test_fields_are_clean_lines_when_the_document_is_real(path: Path) -> None:
    assert_clean_or_refused(read(path))


_SMALL = {name: source for name, source, *_ in MALFORMED if isinstance(source, Path) or len(source) < 1_000}


@pytest.mark.parametrize("source", _SMALL.values(), ids=_SMALL)
def test_fields_are_clean_lines_when_the_document_is_malformed(source: Path | bytes) -> None:
    assert_clean_or_refused(source if isinstance(source, bytes) else source.read_bytes())


def assert_clean_or_refused(raw: bytes) -> None:
    """Assert that each field is one storable, bounded line, unless the document is refused."""
    outcome = attempt(raw)
    for operation in outcome.operations if isinstance(outcome, Description) else ():
        for name in Fields.__slots__:
            line = getattr(operation.fields, name)
            assert len(line) <= MAX_LINE
            assert not _HARMFUL.search(line)
            assert line == " ".join(line.split())
