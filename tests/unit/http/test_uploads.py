import gzip
import json
from typing import Any
from urllib.parse import unquote

import pytest

from opdex.catalog.models import Changes, DocumentWarning, Spec, SpecJob, Upload
from opdex.errors import QueueUnavailable
from opdex.http.routing import BASE_PATH
from tests.gateway import Answer, Gateway, LambdaContext, proxy_event
from tests.unit.http.fakes import NOW, FakeDatabase, FakeWakeUps
from tests.zips import packed

SPEC = f"{BASE_PATH}/api-catalogs/crm/specs/users"
DOCUMENT = b'{"openapi": "3.1.0", "info": {"title": "Users", "version": "1"}, "paths": {"/users": {"get": {}}}}'
STORED = Spec(
    catalog_id="crm",
    spec_name="users",
    source_kind="upload",
    source_url=None,
    base_path="",
    title="Users",
    openapi_version="3.1.0",
    revision=1,
    content_sha256="0" * 64,
    bytes=len(DOCUMENT),
    operation_count=1,
    embedding_count=0,
    created_at=NOW,
    updated_at=NOW,
    last_fetched_at=None,
    warnings=[],
    job=SpecJob(id=31, status="pending"),
)


class FakeStore:
    """Keeps what it was given to store."""

    def __init__(self, log: list[str]) -> None:
        self.given: list[dict[str, Any]] = []
        self.created = True
        self.job_id: int | None = 31
        self._log = log

    def __call__(
        self,
        connection: FakeDatabase,
        catalog_id: str,
        spec_name: str,
        raw: bytes,
        description: Any,
        source_kind: str,
        base_path: str | None,
        model: Any,
    ) -> Upload:
        self._log.append("store")
        self.given.append(
            {
                "raw": raw,
                "operations": len(description.operations),
                "warnings": [warning.code for warning in description.warnings],
                "source_kind": source_kind,
                "base_path": base_path,
                "model": model,
            }
        )
        changes = Changes(added=1, changed=0, removed=0, unchanged=0)
        return Upload(spec=STORED, created=self.created, changes=changes, job_id=self.job_id)


@pytest.fixture
def store(log: list[str], monkeypatch: pytest.MonkeyPatch) -> FakeStore:
    store = FakeStore(log)
    monkeypatch.setattr("opdex.http.specs.store_document", store)
    return store


def upload(gateway: Gateway, body: bytes, content_type: str, query: str = "") -> Answer:
    headers = {"Content-Type": content_type} if content_type else {}
    return gateway.call("PUT", f"{SPEC}/upload{query}", body, headers=headers)


def form(name: str, content: bytes, *, end: bool = True) -> bytes:
    head = '--line\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n--line\r\n'
    head += f'Content-Disposition: form-data; name="{name}"; filename="users.json"\r\nContent-Type: text/plain\r\n\r\n'
    return head.encode() + content + (b"\r\n--line--\r\n" if end else b"")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", DOCUMENT),
        ("application/json; charset=utf-8", DOCUMENT),
        ("application/vnd.oai.openapi+json;version=3.1", DOCUMENT),
        ("application/yaml", DOCUMENT),
        ("text/yaml", DOCUMENT),
        ("application/octet-stream", DOCUMENT),
        ("application/gzip", gzip.compress(DOCUMENT)),
        ("application/octet-stream", gzip.compress(DOCUMENT)),
        ("Application/GZip", gzip.compress(DOCUMENT)),
        ("Multipart/Form-Data; Boundary=line", form("file", DOCUMENT)),
        ("", DOCUMENT),
        ("multipart/form-data; boundary=line", form("file", DOCUMENT)),
        ("multipart/form-data; boundary=line", form("file", gzip.compress(DOCUMENT))),
    ],
)
def test_document_arrives_whole_in_every_form(
    gateway: Gateway, store: FakeStore, content_type: str, body: bytes
) -> None:
    answer = upload(gateway, body, content_type)
    assert answer.status == 201, answer.body
    assert store.given[0]["raw"] == DOCUMENT
    assert store.given[0]["operations"] == 1
    assert store.given[0]["source_kind"] == "upload"
    assert tuple(store.given[0]["model"]) == ("ollama", "nomic-embed-text")


MANY_FILES = {
    "api/openapi.yaml": "openapi: 3.1.0\ninfo: {title: Users, version: '1'}\npaths:\n  /users: {$ref: ../users.yaml}\n",
    "users.yaml": "get: {summary: List users}\n",
}


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/zip", packed(MANY_FILES)),
        ("application/octet-stream", packed(MANY_FILES)),
        ("application/gzip", gzip.compress(packed(MANY_FILES))),
        ("multipart/form-data; boundary=line", form("file", packed(MANY_FILES))),
    ],
)
def test_document_of_many_files_is_stored_as_one(
    gateway: Gateway, store: FakeStore, content_type: str, body: bytes
) -> None:
    answer = upload(gateway, body, content_type, "?entry=api%2Fopenapi.yaml&base_path=/v2")
    assert answer.status == 201, answer.body
    assert store.given[0]["operations"] == 1
    assert store.given[0]["base_path"] == "/v2"
    assert json.loads(store.given[0]["raw"])["x-bundled-files"] == {"users.yaml": {"get": {"summary": "List users"}}}


def test_entry_of_an_archive_may_be_left_out_where_one_file_can_be_meant(gateway: Gateway, store: FakeStore) -> None:
    assert upload(gateway, packed(MANY_FILES), "application/zip").status == 201


@pytest.mark.parametrize("query", ["?entry=openapi.yaml", "?entry=", "?entry=..%2Fapi%2Fopenapi.yaml"])
def test_entry_that_the_archive_does_not_have_is_400_with_what_it_may_be(
    gateway: Gateway, store: FakeStore, query: str
) -> None:
    answer = upload(gateway, packed(MANY_FILES), "application/zip", query)
    assert (answer.status, answer.code) == (400, "malformed_request")
    assert answer.json["error"]["details"]["files"] == ["'api/openapi.yaml'"]
    assert store.given == []


def test_warnings_of_an_archives_files_are_stored_with_the_documents(gateway: Gateway, store: FakeStore) -> None:
    files = {**MANY_FILES, "users.yaml": "get: {summary: A, responses: {'200': {$ref: gone.yaml}}}\nput: 1\n"}
    upload(gateway, packed(files), "application/zip")
    assert {"missing_file", "unresolved_reference", "unusable_operation"} <= set(store.given[0]["warnings"])


@pytest.mark.parametrize(
    ("archive", "status", "code"),
    [
        (packed({"../a.yaml": "openapi: 3.1.0"}), 422, "archive_unusable"),
        (packed({"a.yaml": packed(MANY_FILES)}), 422, "archive_unusable"),
        (packed(MANY_FILES)[:-9], 422, "archive_unusable"),
        (packed({"a.yaml": b" " * 9_000_000}), 422, "document_too_complex"),
        (packed({"a.yaml": b" " * 70_000_000}), 413, "too_large"),
        (packed({str(n): "" for n in range(5_001)}), 422, "document_too_complex"),
        (packed({"a.yaml": "title: Users"}), 422, "not_openapi"),
        (packed({}), 400, "malformed_request"),
    ],
)
def test_archive_that_cannot_be_taken_is_refused_with_a_code(
    gateway: Gateway, store: FakeStore, archive: bytes, status: int, code: str
) -> None:
    answer = upload(gateway, archive, "application/zip")
    assert (answer.status, answer.code) == (status, code), answer.body
    assert store.given == []


def test_text_beyond_ascii_arrives_whole_through_a_gateway_that_passes_text(gateway: Gateway, store: FakeStore) -> None:
    document = DOCUMENT.replace(b"Users", "Bücher 📚".encode())
    assert upload(gateway, document, "application/json").status == 201
    assert store.given[0]["raw"] == document


def test_answer_is_the_spec_with_its_changes_and_job(gateway: Gateway, store: FakeStore) -> None:
    answer = upload(gateway, DOCUMENT, "application/json")
    assert answer.json["changes"] == {"added": 1, "changed": 0, "removed": 0, "unchanged": 0}
    assert answer.json["job"] == {"id": 31, "status": "pending"}
    assert answer.json["operation_count"] == 1
    assert answer.json["warnings"] == []


def test_replaced_spec_answers_200(gateway: Gateway, store: FakeStore) -> None:
    store.created = False
    assert upload(gateway, DOCUMENT, "application/json").status == 200


def test_base_path_is_passed_on(gateway: Gateway, store: FakeStore) -> None:
    upload(gateway, DOCUMENT, "application/json", "?base_path=/v2")
    assert store.given[0]["base_path"] == "/v2"


def test_document_is_read_outside_the_transaction_and_the_wake_up_sent_after_it(
    gateway: Gateway, store: FakeStore, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from opdex.openapi import describe

    def noted(*arguments: Any) -> Any:
        log.append("describe")
        return describe(*arguments)

    monkeypatch.setattr("opdex.openapi.reader.describe", noted)
    upload(gateway, DOCUMENT, "application/json")
    assert log[-6:] == ["describe", "begin", "store", "commit", "wake", "wake"]


def test_upload_succeeds_when_the_queue_is_away(
    gateway: Gateway, store: FakeStore, wake_ups: FakeWakeUps, caplog: pytest.LogCaptureFixture
) -> None:
    wake_ups.error = QueueUnavailable()
    assert upload(gateway, DOCUMENT, "application/json").status == 201
    assert "wake-up not sent" in caplog.text


def test_upload_that_needs_no_job_wakes_nobody(gateway: Gateway, store: FakeStore, wake_ups: FakeWakeUps) -> None:
    store.job_id = None
    upload(gateway, DOCUMENT, "application/json")
    assert wake_ups.sent == []


def test_inline_document_is_taken_as_text(gateway: Gateway, store: FakeStore) -> None:
    body = {"source_kind": "inline", "content": DOCUMENT.decode(), "base_path": "/v3"}
    assert gateway.call("PUT", SPEC, body).status == 201
    assert store.given[0] | {"model": None} == {
        "raw": DOCUMENT,
        "operations": 1,
        "warnings": [],
        "source_kind": "inline",
        "base_path": "/v3",
        "model": None,
    }


def test_document_of_another_source_kind_is_400(gateway: Gateway) -> None:
    answer = gateway.call("PUT", SPEC, {"source_kind": "carrier pigeon", "content": DOCUMENT.decode()})
    assert (answer.status, answer.code) == (400, "malformed_request")
    assert "source_kind" in answer.json["error"]["message"]


@pytest.mark.parametrize(
    ("content_type", "body", "status", "code"),
    [
        ("application/json", b"hello", 422, "not_openapi"),
        ("application/json", b"", 422, "document_empty"),
        ("application/json", b"{", 422, "document_unreadable"),
        ("application/gzip", b"\x1f\x8bnonsense", 422, "document_unreadable"),
        ("application/zip", b"PK\x03\x04", 422, "archive_unusable"),
        ("application/zip", DOCUMENT, 422, "archive_unusable"),
        ("application/x-www-form-urlencoded", DOCUMENT, 415, "unsupported_media_type"),
        ("image/png", DOCUMENT, 415, "unsupported_media_type"),
        ("multipart/form-data", form("file", DOCUMENT), 400, "malformed_request"),
        ("multipart/form-data; boundary=line", b"", 400, "malformed_request"),
        ("multipart/form-data; boundary=line", b"nonsense", 400, "malformed_request"),
        ("multipart/form-data; boundary=\u20ac", b"nonsense", 400, "malformed_request"),
        ("multipart/form-data; \u20ac=line", b"nonsense", 400, "malformed_request"),
        ("multipart/form-data\u20ac; boundary=line", b"nonsense", 415, "unsupported_media_type"),
        ("multipart/form-data; boundary=" + "x" * 300, b"nonsense", 400, "malformed_request"),
        ("multipart/form-data; boundary=line", form("document", DOCUMENT), 400, "malformed_request"),
        ("multipart/form-data; boundary=line", form("file", DOCUMENT, end=False), 400, "malformed_request"),
        ("multipart/form-data; boundary=line", form("x", b"") * 20, 400, "malformed_request"),
    ],
)
def test_body_that_is_no_document_is_refused_with_a_code(
    gateway: Gateway, store: FakeStore, content_type: str, body: bytes, status: int, code: str
) -> None:
    answer = upload(gateway, body, content_type)
    assert (answer.status, answer.code) == (status, code), answer.body
    assert store.given == []


@pytest.mark.parametrize("base_path", ["%00", "%07%1b", "/a%0Ab", "/a%7F", "/" + "a" * 500, "%E2%80%A8"])
def test_base_path_with_control_characters_or_too_long_is_400(
    gateway: Gateway, store: FakeStore, base_path: str
) -> None:
    inline = {"source_kind": "inline", "content": DOCUMENT.decode(), "base_path": unquote(base_path)}
    for answer in (
        upload(gateway, DOCUMENT, "application/json", f"?base_path={base_path}"),
        gateway.call("PUT", SPEC, inline),
    ):
        assert (answer.status, answer.code) == (400, "malformed_request")
        assert answer.json["error"]["details"]["fields"][0]["name"] == "base_path"
    assert store.given == []


@pytest.mark.parametrize(("field", "text"), [("content", "\ud800"), ("base_path", "/\udfff")])
def test_inline_document_with_half_a_surrogate_pair_is_400(
    gateway: Gateway, store: FakeStore, field: str, text: str
) -> None:
    sent = {"source_kind": "inline", "content": DOCUMENT.decode(), field: text}
    answer = gateway.call("PUT", SPEC, sent)
    assert (answer.status, answer.code) == (400, "malformed_request")
    assert answer.json["error"]["details"]["fields"][0]["name"] == field
    assert store.given == []


def test_list_has_the_first_warnings_of_each_spec_and_their_number(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings = [DocumentWarning(code="unknown_field", message=f"It is no. {n}.", pointer="/x") for n in range(8)]
    stored = Spec(**{**dict(STORED), "warnings": warnings, "warning_count": 8})
    monkeypatch.setattr("opdex.catalog.store.list_specs", lambda *_: [stored])
    monkeypatch.setattr("opdex.catalog.store.get_spec", lambda *_: stored)
    (listed,) = gateway.call("GET", SPEC.removesuffix("/users")).json["specs"]
    assert [warning["message"] for warning in listed["warnings"]] == [f"It is no. {n}." for n in range(3)]
    assert listed["warning_count"] == 8
    read = gateway.call("GET", SPEC).json
    assert (len(read["warnings"]), read["warning_count"]) == (8, 8)


def test_list_that_does_not_fit_into_one_answer_goes_on_at_next(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = sorted(f"spec-{n}" for n in range(1000))
    specs = [STORED.model_copy(update={"spec_name": name, "base_path": "/" + '"' * 3000}) for name in names]
    monkeypatch.setattr(
        "opdex.catalog.store.list_specs",
        lambda _, __, limit, after: [spec for spec in specs if spec.spec_name > (after or "")][:limit],
    )
    path = SPEC.removesuffix("/users")
    page = gateway.call("GET", path).json
    seen = [spec["spec_name"] for spec in page["specs"]]
    while "next" in page:
        page = gateway.call("GET", f"{path}?cursor={page['next']}").json
        seen += [spec["spec_name"] for spec in page["specs"]]
    assert seen == names


def test_document_that_unpacks_to_more_than_the_limit_is_413(gateway: Gateway, store: FakeStore) -> None:
    answer = upload(gateway, gzip.compress(b" " * (65 * 1024 * 1024)), "application/gzip")
    assert (answer.status, answer.code) == (413, "too_large")


def test_body_that_is_not_the_base64_it_is_said_to_be_is_400(gateway: Gateway, store: FakeStore) -> None:
    event = proxy_event("PUT", f"{SPEC}/upload", b"x", {"x-api-key": "editor", "content-type": "application/gzip"})
    answer = gateway.handler({**event, "body": "no base64!"}, LambdaContext())
    assert answer["statusCode"] == 400
