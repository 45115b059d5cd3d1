from typing import Any

import pytest

from opdex.errors import DocumentTooComplex
from opdex.openapi import Limits
from opdex.openapi.description import Findings
from opdex.openapi.limits import Budget
from opdex.openapi.path_items import PathItem, read_path_items
from opdex.openapi.references import References


def read(item: Any, limits: Limits | None = None, **fields: Any) -> tuple[list[PathItem], list[tuple[str, str]]]:
    document = {"paths": {"/x": item}, **fields}
    findings, budget = Findings(), Budget(limits or Limits())
    items = read_path_items(document, "paths", References(document, budget), budget, findings)
    return items, [(warning.code, warning.pointer) for warning in findings.warnings()]


def methods(item: Any) -> tuple[list[str], list[tuple[str, str]]]:
    items, findings = read(item)
    return [operation.method for found in items for operation in found.operations], findings


def test_additional_operations_are_read_under_their_methods() -> None:
    item: dict[str, Any] = {"get": {}, "additionalOperations": {"COPY": {}, "m-search": {}, "x-note": {}}}
    (found,), findings = read(item)
    assert [(operation.method, operation.pointer) for operation in found.operations] == [
        ("GET", ("paths", "/x", "get")),
        ("COPY", ("paths", "/x", "additionalOperations", "COPY")),
        ("m-search", ("paths", "/x", "additionalOperations", "m-search")),
    ]
    assert findings == []


def test_an_additional_operation_is_skipped_when_its_method_has_a_field_of_its_own() -> None:
    assert methods({"post": {}, "additionalOperations": {"POST": {}, "PUT": {}}}) == (
        ["POST", "PUT"],
        [("unusable_operation", "/paths/~1x/additionalOperations/POST")],
    )


@pytest.mark.parametrize("name", ["", "two words", "é", "A" * 21, "GET/"])
def test_an_additional_operation_is_skipped_when_its_name_is_no_method(name: str) -> None:
    found, findings = methods({"additionalOperations": {name: {}}})
    assert (found, [code for code, _ in findings]) == ([], ["unusable_operation"])


@pytest.mark.parametrize("junk", [None, [], "COPY", [{"COPY": {}}]])
def test_additional_operations_that_are_no_mapping_are_survived(junk: Any) -> None:
    assert methods({"get": {}, "additionalOperations": junk}) == (["GET"], [])


def test_a_method_in_capitals_is_read_unless_it_is_there_twice() -> None:
    twice = [("unusable_operation", "/paths/~1x/Post"), ("unusable_operation", "/paths/~1x/Get")]
    found, findings = methods({"GET": {}, "Post": {}, "post": {}, "Get": {}})
    assert (found, findings) == (["GET", "POST"], [("method_case", "/paths/~1x/GET"), *twice])


def test_an_operation_of_which_nothing_is_said_counts_with_a_warning() -> None:
    assert methods({"get": None}) == (["GET"], [("empty_operation", "/paths/~1x/get")])


def test_too_many_operations_are_refused_before_they_are_kept() -> None:
    with pytest.raises(DocumentTooComplex) as caught:
        read({"get": {}, "put": {}, "post": {}}, Limits(max_operations=2))
    assert caught.value.details == {"limit": "max_operations", "value": 2}
