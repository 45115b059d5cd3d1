"""What a caller has to know, of OpenAPI 3 and of Swagger 2."""

from typing import Any

import pytest

from opdex.mcp.interface import interface
from opdex.openapi.limits import Budget, Limits
from opdex.openapi.references import References


def _parts(operation: dict[str, Any], item: dict[str, Any] | None = None, **document: Any) -> dict[str, Any]:
    references = References(document, Budget(Limits()))
    return {part.name: part.node for part in interface(document, item or {}, operation, references)}


def test_operation_has_no_part_when_it_says_nothing() -> None:
    assert _parts({}) == {}


def test_parameters_of_the_path_are_kept_unless_the_operation_has_its_own() -> None:
    item = {"parameters": [{"in": "path", "name": "id"}, {"$ref": "#/components/parameters/Page"}]}
    own = {"in": "path", "name": "id", "description": "The user's."}
    page = {"in": "query", "name": "page"}
    parts = _parts(
        {"parameters": [own, {"in": "header", "name": "id"}]}, item, components={"parameters": {"Page": page}}
    )
    assert parts == {"parameters": [own, page, {"in": "header", "name": "id"}]}


def test_parameters_are_passed_over_when_they_are_none() -> None:
    assert _parts({"parameters": ["text", None, {"$ref": "#/nowhere"}]}, {"parameters": "text"}) == {}


def test_body_and_responses_are_as_written_in_openapi_3() -> None:
    body: dict[str, Any] = {"content": {"application/json": {}}}
    responses = {"200": {"description": "Done."}}
    assert _parts({"requestBody": body, "responses": responses}) == {"request_body": body, "responses": responses}


def test_parameter_in_the_body_is_the_request_body_in_swagger_2() -> None:
    schema = {"type": "object"}
    parameters = [{"in": "body", "name": "it", "required": True, "schema": schema}, {"in": "query", "name": "dry"}]
    expected = {"required": True, "content": {"application/xml": {"schema": schema}}}
    assert _parts({"parameters": parameters}, consumes=["application/xml"]) == {
        "parameters": [{"in": "query", "name": "dry"}],
        "request_body": expected,
    }


def test_request_body_is_json_when_swagger_2_does_not_say_what_is_consumed() -> None:
    parts = _parts({"parameters": [{"in": "body", "name": "it", "schema": {}}]}, consumes="text")
    assert parts["request_body"] == {"content": {"application/json": {"schema": {}}}}


_FILE: dict[str, Any] = {"in": "formData", "name": "file", "required": True, "type": "file", "description": "A photo."}
_NOTE: dict[str, Any] = {"in": "formData", "name": "note", "type": "string"}
_MULTIPART, _URL_ENCODED = "multipart/form-data", "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("consumes", "media_types"),
    [
        ([_MULTIPART], [_MULTIPART]),
        ([_URL_ENCODED, "multipart/form-data; charset=utf-8"], [_URL_ENCODED, "multipart/form-data; charset=utf-8"]),
        (["application/json"], [_MULTIPART]),  # of the whole document, and it cannot be what is meant
        (None, [_MULTIPART]),
    ],
)
def test_fields_of_a_form_are_the_request_body_in_swagger_2(consumes: Any, media_types: list[str]) -> None:
    parts = _parts({"parameters": [_FILE, {"in": "path", "name": "id"}, _NOTE]}, consumes=consumes)
    schema = {
        "type": "object",
        "required": ["file"],
        "properties": {"file": {"type": "file", "description": "A photo."}, "note": {"type": "string"}},
    }
    assert parts == {
        "parameters": [{"in": "path", "name": "id"}],
        "request_body": {"content": {media_type: {"schema": schema} for media_type in media_types}},
    }


def test_form_without_a_file_is_url_encoded_when_swagger_2_does_not_say() -> None:
    body = _parts({"parameters": [_NOTE]})["request_body"]
    assert body == {
        "content": {_URL_ENCODED: {"schema": {"type": "object", "properties": {"note": {"type": "string"}}}}}
    }


def test_media_types_of_responses_are_named_when_swagger_2_says_them() -> None:
    responses = {"200": {"description": "A picture.", "schema": {"type": "file"}}}
    assert _parts({"responses": responses, "produces": ["image/png"]}, produces=["application/json"]) == {
        "produces": ["image/png"],
        "responses": responses,
    }
    assert _parts({"responses": responses}, produces=["application/json"])["produces"] == ["application/json"]
    assert "produces" not in _parts({"responses": responses}, produces="text")
