import json
from typing import Any

import pytest

from opdex.errors import DocumentTooComplex
from opdex.openapi import Description, Limits, Operation, describe
from opdex.openapi.description import Findings


def document(**fields: Any) -> dict[str, Any]:
    return {"openapi": "3.1.0", "info": {"title": "T", "version": "1"}, "paths": {}, **fields}


def described(paths: Any, limits: Limits | None = None, **fields: Any) -> Description:
    return describe(json.dumps(document(paths=paths, **fields)).encode(), limits or Limits())


def only(**node: Any) -> Operation:
    (operation,) = described({"/x": {"get": node}}).operations
    return operation


def codes(description: Description) -> list[str]:
    return [warning.code for warning in description.warnings]


def test_warnings_of_a_document_have_a_bounded_length_in_all_and_the_rest_are_counted() -> None:
    found = Findings()
    for code in range(30):
        for number in range(25):
            found.add(f"code_{code}", "It is odd.", "x" * 1900, number)
    warnings = found.warnings()
    assert sum(len(warning.message) + len(warning.pointer) for warning in warnings) < 60_000
    assert {warning.code for warning in warnings} == {f"code_{code}" for code in range(30)}
    kept = [warning for warning in warnings if warning.pointer]
    more = [int(warning.message.split()[0]) for warning in warnings if not warning.pointer]
    assert len(kept) + sum(more) == 30 * 25


def test_an_operation_is_read_with_all_that_is_said_about_it() -> None:
    raw = b"""
openapi: 3.0.3
info: {title: "Pets  and\\nowners", version: 1.0}
servers: [{url: "https://api.example/v1/"}]
paths:
  /pets/{id}:
    parameters: [{name: id, in: path, required: true}]
    delete:
      operationId: removePet
      summary: Remove
        a pet
      description: |
        For good.

        Really.
      tags: [pets, 7, pets]
      deprecated: true
      responses: {204: {description: gone}}
"""
    description = describe(raw)
    assert (description.title, description.openapi_version, description.base_path) == (
        "Pets and owners",
        "3.0.3",
        "/v1",
    )
    (operation,) = description.operations
    assert (operation.operation_id, operation.method, operation.path) == ("removePet", "DELETE", "/pets/{id}")
    assert (operation.summary, operation.description) == ("Remove a pet", "For good.\n\nReally.")
    assert (operation.tags, operation.deprecated) == (("pets", "7"), True)
    assert operation.text == "Remove a pet. For good. Really. delete pets. remove pet"
    assert len(operation.text_hash) == 32
    assert description.warnings == ()


def test_all_methods_count_and_nothing_else_does() -> None:
    methods = ["get", "put", "post", "delete", "options", "head", "patch", "trace", "query"]
    item: dict[str, Any] = {**{method: {} for method in methods}, "parameters": [], "servers": [], "x-get": {}}
    description = described({"/x": item, "x-paths": {"get": {}}}, webhooks={"w": {"post": {}}})
    assert [operation.method.lower() for operation in description.operations] == methods


def test_callbacks_are_not_counted() -> None:
    callbacks: dict[str, Any] = {"done": {"{$request.body#/url}": {"post": {}}}}
    assert len(described({"/x": {"post": {"callbacks": callbacks}}}).operations) == 1


def test_path_items_by_reference_count() -> None:
    components = {"pathItems": {"Shared": {"get": {"summary": "Shared"}, "post": {}}}}
    description = described(
        {"/a": {"$ref": "#/components/pathItems/Shared"}, "/b": {"$ref": "#/paths/~1a", "put": {}}},
        components=components,
    )
    assert [(o.method, o.path) for o in description.operations] == [
        ("GET", "/a"), ("POST", "/a"), ("GET", "/b"), ("POST", "/b"), ("PUT", "/b"),
    ]  # fmt: skip


def test_an_operation_whose_reference_leads_out_still_counts() -> None:
    description = described({"/one-click": {"get": {"$ref": "resources/list.yml"}}})
    assert [o.text for o in description.operations] == ["get one click"]
    assert codes(description) == ["external_reference"]


def test_operation_ids_are_unique_within_a_document() -> None:
    description = described({
        "/a": {"get": {"operationId": "same"}, "put": {"operationId": "same"}, "post": {}},
        "/b": {"get": {"operationId": "GET /c"}},
        "/c": {"get": {}},
    })  # fmt: skip
    assert [o.operation_id for o in description.operations] == ["same", "PUT /a", "POST /a", "GET /c", "GET /c (2)"]
    assert codes(description) == ["repeated_operation_id"] * 2
    assert description.operations[1].text == "update a. same"


def test_a_summary_of_the_path_item_serves_where_the_operation_has_no_text() -> None:
    item = {"summary": "All about x", "get": {}, "put": {"description": "Own"}}
    first, second = described({"/x": item}).operations
    assert (first.summary, second.summary) == ("All about x", "")


@pytest.mark.parametrize(
    ("item", "code"),
    [
        (None, "unusable_path_item"), ([], "unusable_path_item"), ("text", "unusable_path_item"),
        ({"type": "object"}, "unusable_path_item"), ({"get": ["x"]}, "unusable_operation"),
        ({"get": "text"}, "unusable_operation"),
    ],
)  # fmt: skip
def test_what_is_no_operation_is_skipped_with_a_warning(item: Any, code: str) -> None:
    description = described({"/x": item, "/y": {"get": {}}})
    assert [o.path for o in description.operations] == ["/y"]
    assert codes(description) == [code]


@pytest.mark.parametrize("paths", [None, [], "text", {}, {"/x": {"$ref": "#/paths/~1x"}}])
def test_a_document_without_operations_is_taken_and_says_so(paths: Any) -> None:
    description = described(paths)
    assert description.operations == ()
    assert "no_operations" in codes(description)


def test_a_missing_slash_is_put_in_front_of_a_path() -> None:
    description = described({"users": {"get": {}}})
    assert description.operations[0].path == "/users"
    assert codes(description) == ["path_without_slash"]


@pytest.mark.parametrize("field", ["summary", "description", "operationId"])
@pytest.mark.parametrize("value", [[], {}, ["text"], {"$ref": "text.yml"}])
def test_a_text_that_is_none_is_left_out_with_a_warning(field: str, value: Any) -> None:
    description = described({"/x": {"get": {field: value}}})
    assert "not_text" in codes(description)
    assert description.operations[0].text == "get x"


def test_scalars_become_text() -> None:
    operation = only(summary=1.5, description=True, operationId=7, tags="lonely")
    assert (operation.summary, operation.description, operation.operation_id) == ("1.5", "true", "7")
    assert operation.tags == ("lonely",)
    assert only(tags=[{"name": "declared"}, "plain"]).tags == ("declared", "plain")


@pytest.mark.parametrize("value", [True, "true", "yes", "on", "True"])
def test_deprecated_is_read_in_every_spelling(value: Any) -> None:
    assert only(deprecated=value).deprecated
    assert not only(deprecated=f"not {value}").deprecated


def test_texts_are_cut_to_what_is_stored() -> None:
    paths = {
        "/" + "p" * 3000: {
            "get": {
                "operationId": "i" * 600, "summary": "s " * 2000, "description": "d" * 9000,
                "tags": [f"{n}" + "t" * 200 for n in range(60)],
            }
        }
    }  # fmt: skip
    description = described(paths, info={"title": "t" * 400})
    (operation,) = description.operations
    assert len(operation.operation_id) == 500
    assert len(operation.path) == 2000
    assert len(operation.summary) <= 1000
    assert len(operation.description) == 8000
    assert (len(operation.tags), len(operation.tags[-1])) == (50, 100)
    assert len(description.title) == 300
    assert "text_cut" in codes(description)


def test_nothing_leaves_that_the_database_would_refuse() -> None:
    evil = "a\0b\ud800c\x1bd"
    raw = json.dumps({
        "openapi": "3.1.0", "info": {"title": evil}, "servers": [{"url": "/" + evil}],
        "paths": {"/" + evil: {"get": {"operationId": evil, "summary": evil, "description": evil, "tags": [evil],
                                       "parameters": [{"$ref": evil}], evil: 1}}},
    }).encode()  # fmt: skip
    description = describe(raw)
    (operation,) = description.operations
    texts = [
        description.title, description.base_path, operation.operation_id, operation.path, operation.summary,
        operation.description, operation.text, *operation.tags,
        *(text for w in description.warnings for text in (w.message, w.pointer)),
    ]  # fmt: skip
    assert operation.summary == "a\ufffdb\ufffdc\ufffdd"
    for text in texts:
        text.encode()
        assert not set(text) & {"\0", "\x1b"}


def test_warnings_of_one_kind_are_counted_after_the_first_twenty() -> None:
    description = described({f"/{n}": None for n in range(50)})
    unusable = [w for w in description.warnings if w.code == "unusable_path_item"]
    assert len(unusable) == 21
    assert unusable[-1].message.startswith("30 more")


def test_too_many_operations_are_refused() -> None:
    with pytest.raises(DocumentTooComplex) as caught:
        described({f"/{n}": {"get": {}} for n in range(11)}, Limits(max_operations=10))
    assert caught.value.details == {"limit": "max_operations", "value": 10}


def test_one_long_text_behind_many_references_is_refused() -> None:
    paths = {f"/{n}": {"get": {"$ref": "#/components/x"}} for n in range(200)}
    with pytest.raises(DocumentTooComplex):
        described(paths, Limits(max_text=100_000), components={"x": {"description": "long " * 1000}})


def test_long_tags_behind_many_references_are_refused() -> None:
    paths = {f"/{n}": {"get": {"$ref": "#/components/x"}} for n in range(200)}
    with pytest.raises(DocumentTooComplex):
        described(paths, Limits(max_text=100_000), components={"x": {"tags": [f"{n}" + "t" * 90 for n in range(50)]}})


def test_one_long_list_behind_many_references_is_refused() -> None:
    paths = {f"/{n}": {"get": {"$ref": "#/components/x"}} for n in range(100)}
    shared = {"parameters": [{"name": f"{n}", "in": "query"} for n in range(1000)]}
    with pytest.raises(DocumentTooComplex):
        described(paths, Limits(max_expansion=20_000), components={"x": shared})


def test_json_and_yaml_of_one_document_give_the_same_operations() -> None:
    from_json = describe(
        b'{"openapi":"3.0.0","info":{"title":"t"},"paths":{"/x":{"get":{"summary":"1.10","tags":[1]}}}}'
    )
    from_yaml = describe(b"openapi: 3.0.0\ninfo: {title: t}\npaths:\n  /x:\n    get: {summary: 1.10, tags: [1]}\n")
    assert from_json == from_yaml
