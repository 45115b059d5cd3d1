"""Documents of many files, from the zip to the search and back."""

import gzip
import json

from opdex.http.routing import BASE_PATH
from tests.gateway import Answer, Gateway
from tests.integration.engine import Engine
from tests.zips import packed

FILES = {
    "openapi.yaml": "openapi: 3.1.0\ninfo: {title: Users, version: '1'}\npaths:\n"
    "  /users: {$ref: paths/users.yaml}\n  /teams: {$ref: paths/teams.yaml}\n",
    "paths/users.yaml": "get: {summary: List the users}\n",
    "paths/teams.yaml": "get: {summary: List the teams}\npost: {summary: Found a team}\n",
}


def put(gateway: Gateway, crm: str, files: dict[str, str]) -> Answer:
    return gateway.call(
        "PUT",
        f"{crm}/specs/users/upload?entry=openapi.yaml",
        packed(files),
        headers={"content-type": "application/zip"},
    )


def test_operations_of_all_files_are_embedded_and_found(gateway: Gateway, crm: str, engine: Engine) -> None:
    answer = put(gateway, crm, FILES)
    assert (answer.status, answer.json["operation_count"], answer.json["source_kind"]) == (201, 3, "upload")
    assert answer.json["warnings"] == []
    assert engine.worker().outcomes(job_id=answer.json["job"]["id"]) == ["published"]
    found = gateway.call("GET", f"{BASE_PATH}/search?q=found+a+team&catalog=crm&ranking=lexical").json["operations"]
    assert (found[0]["method"], found[0]["path"]) == ("POST", "/teams")


def test_same_files_packed_in_another_order_are_the_same_revision(gateway: Gateway, crm: str) -> None:
    first, second = put(gateway, crm, FILES), put(gateway, crm, dict(reversed(FILES.items())))
    assert second.status == 200
    assert second.json["revision"] == first.json["revision"] == 1
    assert second.json["content_sha256"] == first.json["content_sha256"]


def test_one_file_that_changed_changes_its_operations_alone(gateway: Gateway, crm: str) -> None:
    put(gateway, crm, FILES)
    answer = put(gateway, crm, {**FILES, "paths/users.yaml": "get: {summary: Find users}\n"})
    assert (answer.status, answer.json["revision"]) == (200, 2)
    assert answer.json["changes"] == {"added": 0, "changed": 1, "removed": 0, "unchanged": 2}


def test_content_is_one_document_that_can_be_sent_again(gateway: Gateway, crm: str) -> None:
    first = put(gateway, crm, FILES).json
    answer = gateway.call("GET", f"{crm}/specs/users/content", headers={"accept": "application/gzip"})
    document = json.loads(gzip.decompress(answer.body))
    assert sorted(document["x-bundled-files"]) == ["paths/teams.yaml", "paths/users.yaml"]
    again = gateway.call(
        "PUT", f"{crm}/specs/users/upload", answer.body, headers={"content-type": "application/gzip"}
    ).json
    assert (again["revision"], again["content_sha256"]) == (1, first["content_sha256"])


def test_archive_that_is_refused_leaves_what_was_stored(gateway: Gateway, crm: str) -> None:
    stored = put(gateway, crm, FILES).json
    assert put(gateway, crm, {**FILES, "../evil.yaml": "x"}).code == "archive_unusable"
    assert put(gateway, crm, {"other.yaml": FILES["openapi.yaml"]}).code == "malformed_request"
    assert gateway.call("GET", f"{crm}/specs/users").json["revision"] == stored["revision"]
