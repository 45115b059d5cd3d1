from typing import Any

import pytest

from opdex.openapi import Limits
from opdex.openapi.checks import check
from opdex.openapi.description import Findings
from opdex.openapi.limits import Budget
from opdex.openapi.path_items import read_path_items
from opdex.openapi.references import References


def found(paths: dict[str, Any] | None = None, **fields: Any) -> list[tuple[str, str]]:
    document = {"openapi": "3.1.0", "info": {"title": "T"}, "paths": paths or {}, **fields}
    findings, budget = Findings(), Budget(Limits())
    references = References(document, budget)
    check(document, read_path_items(document, "paths", references, budget, findings), references, findings)
    return [(warning.code, warning.pointer) for warning in findings.warnings()]


def in_path(name: str) -> dict[str, str]:
    return {"name": name, "in": "path"}


def test_a_sound_document_has_no_findings() -> None:
    operation = {"parameters": [{"$ref": "#/components/parameters/B"}], "responses": {"2XX": {}, "default": {}}}
    paths = {"/x/{a}/{b}": {"parameters": [in_path("a")], "get": operation, "x-y": 1}}
    assert found(paths, components={"parameters": {"B": in_path("b")}}, servers=[{"url": ""}]) == []


@pytest.mark.parametrize("info", [None, {}, {"title": ""}, {"title": []}, "x"])
def test_a_missing_title_is_told(info: Any) -> None:
    assert found(info=info) == [("no_title", "/info/title")]


def test_a_server_without_url_is_told() -> None:
    assert found(servers=[{"url": "/"}, {"urll": "/"}, "x"]) == [
        ("unusable_server", "/servers/1"), ("unusable_server", "/servers/2"),
    ]  # fmt: skip


def test_an_odd_component_name_is_told() -> None:
    components = {"schemas": {"a b": {}, "c.d-e_f": {}}, "x-z": {"a b": 1}, "headers": None}
    assert found(components=components) == [("component_name", "/components/schemas/a b")]


def test_unknown_fields_are_told() -> None:
    assert found({"/x": {"gett": {}, "GET": {"tagss": []}}}) == [
        ("method_case", "/paths/~1x/GET"), ("unknown_field", "/paths/~1x/gett"),
        ("unknown_field", "/paths/~1x/GET/tagss"),
    ]  # fmt: skip


def test_a_parameter_that_is_there_twice_is_told() -> None:
    parameters = [{"name": "a", "in": "query"}, {"name": "a", "in": "header"}, {"name": "a", "in": "query"}]
    assert found({"/x": {"get": {"parameters": parameters}}}) == [
        ("duplicate_parameter", "/paths/~1x/get/parameters/2")
    ]


def test_placeholders_and_path_parameters_that_do_not_match_are_told() -> None:
    assert found({"/x/{a}": {"get": {"parameters": [in_path("b")]}}}) == [
        ("path_parameter_unused", "/paths/~1x~1{a}/get"), ("path_parameter_missing", "/paths/~1x~1{a}/get"),
    ]  # fmt: skip


@pytest.mark.parametrize("written", ["a", "a+", "+a", ";a*", "a:[0-9]+", "/a"])
def test_a_placeholder_is_matched_by_the_name_in_it(written: str) -> None:
    path = f"/x/{{{written}}}"
    assert found({path: {"get": {"parameters": [in_path("a")]}, "put": {"parameters": [in_path(written)]}}}) == []


def test_a_placeholder_may_belong_to_a_parameter_that_cannot_be_read() -> None:
    assert found({"/x/{a}": {"get": {"parameters": [{"$ref": "other.yaml"}]}}}) == []


@pytest.mark.parametrize("key", ["foobar", "20", "600", "2xxx"])
def test_an_odd_response_code_is_told(key: str) -> None:
    assert found({"/x": {"get": {"responses": {key: {}}}}}) == [("response_code", f"/paths/~1x/get/responses/{key}")]


@pytest.mark.parametrize("junk", [None, [], "x", {"a": "b"}, [None, 1, []]])
def test_junk_in_place_of_lists_and_mappings_is_survived(junk: Any) -> None:
    paths = {"/x": {"parameters": junk, "get": {"parameters": junk, "responses": junk}}}
    codes = {code for code, _ in found(paths, components=junk, servers=junk)}
    assert codes <= {"response_code", "unusable_server", "unusable_parameters"}


def test_parameters_that_are_no_list_are_told_once() -> None:
    assert found({"/x/{a}": {"get": {"parameters": {"a": in_path("a")}}}}) == [
        ("unusable_parameters", "/paths/~1x~1{a}/get/parameters")
    ]


def test_servers_that_are_no_list_are_told() -> None:
    assert found(servers={"url": "/v1"}) == [("unusable_server", "/servers")]


@pytest.mark.parametrize(("version", "codes"), [("3.1.0", ["later_version"] * 2), ("3.2.0", [])])
def test_fields_of_a_later_version_are_told(version: str, codes: list[str]) -> None:
    paths: dict[str, Any] = {"/x": {"query": {}, "additionalOperations": {"COPY": {}}}}
    assert [code for code, _ in found(paths, openapi=version)] == codes


def test_extensions_that_hold_operations_are_told() -> None:
    any_method = "x-amazon-apigateway-any-method"
    assert found({"/x": {any_method: {}}}, **{"x-ms-paths": {}}) == [
        ("unread_paths", "/x-ms-paths"), ("any_method", f"/paths/~1x/{any_method}"),
    ]  # fmt: skip
