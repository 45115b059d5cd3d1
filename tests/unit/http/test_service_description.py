from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from opdex.http.routing import BASE_PATH
from opdex.mcp import Server
from tests.gateway import Gateway


@pytest.fixture
def document(gateway: Gateway) -> dict[str, Any]:
    answer = gateway.call("GET", "/openapi.json", key=None)
    assert answer.status == 200
    assert isinstance(answer.json, dict)
    return answer.json


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, operation) for path, item in document["paths"].items() for method, operation in item.items()]


def test_description_is_valid_openapi_31(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(document).validate()


def test_every_operation_is_open_or_names_its_role(document: dict[str, Any]) -> None:
    opened = {path for path, _, operation in operations(document) if operation.get("security") == []}
    assert opened == {"/", "/healthz", "/docs", "/openapi.json"}
    for path, _, operation in operations(document):
        assert (operation.get("x-required-role") in ("reader", "editor", "admin")) == (path not in opened)
        assert operation["summary"]
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names)


def test_every_answer_has_a_schema_and_every_error_the_one_shape(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                schema = answer["content"]["application/json"]["schema"]
                shape = schema["anyOf"][0] if path == "/mcp" else schema
                assert shape["$ref"].endswith("/ErrorAnswer")
            elif status == "204" or (path, status) == ("/mcp", "202"):
                assert answer["content"] == {}
            else:
                assert all(content["schema"] for content in answer["content"].values()), (path, method)
        if path.startswith(BASE_PATH):
            assert {"401", "403", "500", "503"} <= operation["responses"].keys()
        assert ("requestBody" in operation) <= ("415" in operation["responses"]), (path, method)


def test_upload_takes_every_form_that_a_document_comes_in(document: dict[str, Any]) -> None:
    upload = document["paths"][f"{BASE_PATH}/api-catalogs/{{catalog_id}}/specs/{{spec_name}}/upload"]["put"]
    assert set(upload["requestBody"]["content"]) == {
        "application/json",
        "application/yaml",
        "application/octet-stream",
        "application/gzip",
        "application/zip",
        "multipart/form-data",
    }
    assert {"200", "201", "404", "413", "415", "422"} <= upload["responses"].keys()


def test_description_has_no_model_that_nothing_refers_to(document: dict[str, Any]) -> None:
    text = str(document)
    unused = [name for name in document["components"]["schemas"] if f"#/components/schemas/{name}'" not in text]
    assert unused == []


def test_status_fields_that_may_be_absent_are_not_required(document: dict[str, Any]) -> None:
    status = document["components"]["schemas"]["EmbeddingStatus"]
    assert {"spec_name", "operation_count", "embedding_count", "revision"} == set(status["required"])
    assert "embedded_so_far" in status["properties"]


def test_servers_are_relative_to_the_description_itself(document: dict[str, Any]) -> None:
    assert document["servers"] == [{"url": "."}]


def test_batch_of_messages_has_as_many_as_the_server_takes(document: dict[str, Any]) -> None:
    body = document["paths"]["/mcp"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    (batch,) = (kind for kind in body["anyOf"] if kind["type"] == "array")
    for count, status in ((batch["maxItems"], 200), (batch["maxItems"] + 1, 400)):
        ping = b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}'
        assert Server([]).exchange(b"[" + b",".join([ping] * count) + b"]", {}).status == status
