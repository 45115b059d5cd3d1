"""What SPEC= says while a document is indexed, whatever the API answers."""

import gzip
import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from rich.console import Console

from local.endpoint import Endpoint
from local.errors import LocalRunError
from local.indexing import Document, Indexing
from tests.zips import packed

_NOTHING = {"added": 0, "changed": 0, "removed": 0, "unchanged": 3}
_DONE = {"operation_count": 3, "embedding_count": 3, "job_status": "succeeded"}
_USERS = Document("users", gzip.compress(b"document"))
_AWAY = (503, {"error": {"message": "The database is away."}})
_BROKEN = (500, {"error": {"message": "Something broke."}})


class Api:
    """An API whose answers are scripted: one to the upload, and one a poll; the last stays."""

    def __init__(self) -> None:
        self.uploads: list[tuple[int, Any]] = [(201, {"changes": _NOTHING})]
        self.statuses: list[tuple[int, Any]] = [(200, _DONE)]
        self.uploaded: list[tuple[str, str | None]] = []

    def answer(self, method: str) -> tuple[int, Any]:
        if method == "POST":
            return 409, {}
        script = self.uploads if method == "PUT" else self.statuses
        status, body = script.pop(0) if len(script) > 1 else script[0]
        return status, {"specs": [body]} if method == "GET" and status == 200 else body


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def url(api: Api) -> Iterator[str]:
    class Connection(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            if self.command == "PUT":
                api.uploaded.append((self.path.rpartition("/")[2], self.headers["content-type"]))
            status, body = api.answer(self.command)
            raw = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = do_PUT = answer  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    with HTTPServer(("127.0.0.1", 0), Connection) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def _index(url: str, *, paused: bool = False, document: Document = _USERS) -> str:
    """Return what is said."""
    said = io.StringIO()
    endpoint = Endpoint(url=url, api_key="key", database_url="", queue_url="", aws_endpoint_url="", pid=0)
    console = Console(file=said, soft_wrap=True)
    Indexing(endpoint, document, lambda: None, console).run(paused=paused)
    return said.getvalue()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.indexing._POLL_SECONDS", 0.01)
    monkeypatch.setattr("local.indexing._PATIENCE_SECONDS", 0.2)


@pytest.mark.parametrize(
    ("status", "changes", "words"),
    [
        (201, {}, "users: new in catalog local."),
        (200, {}, "users: has the operations that it had in catalog local."),
        (
            200,
            {"added": 1, "removed": 2},
            "users: replaces an earlier document of that name in catalog local (1 added,",
        ),
    ],
)
def test_spec_name_is_told_with_what_the_upload_did(
    api: Api, url: str, status: int, changes: dict[str, int], words: str
) -> None:
    api.uploads = [(status, {"changes": _NOTHING | changes})]
    said = _index(url)
    assert words in said
    assert "users: All 3 operations are searchable after" in said


def test_reason_is_told_once_when_a_job_is_tried_again(api: Api, url: str) -> None:
    waiting = {"operation_count": 3, "embedding_count": 0, "job_status": "pending", "job_last_error": "Busy."}
    api.statuses = [*[(200, waiting)] * 3, (200, waiting | {"job_last_error": "Away."}), (200, _DONE)]
    said = _index(url)
    assert said.count("users: waiting: Busy.") == said.count("users: waiting: Away.") == 1


def test_reason_ends_it_when_the_job_has_failed(api: Api, url: str) -> None:
    api.statuses = [
        (200, {"operation_count": 3, "embedding_count": 0, "job_status": "failed", "job_last_error": "No."})
    ]
    with pytest.raises(LocalRunError, match="users was not indexed: No"):
        _index(url)


@pytest.mark.parametrize("job", [{}, {"job_status": "succeeded"}])
def test_document_is_called_empty_when_it_has_no_operations(api: Api, url: str, job: dict[str, str]) -> None:
    api.statuses = [(200, {"operation_count": 0, "embedding_count": 0, **job})]
    said = _index(url)
    assert "no operations, so there is nothing to search for" in said
    assert "All 0" not in said


def test_pause_is_told_at_once_when_there_are_no_workers(api: Api, url: str) -> None:
    api.statuses = [(200, {"operation_count": 3, "embedding_count": 0, "job_status": "pending"})]
    assert "users: Embedding is paused (WORKERS=0)" in _index(url, paused=True)


def test_database_is_waited_for_when_it_is_away(api: Api, url: str) -> None:
    api.uploads = [_AWAY, *api.uploads]
    api.statuses = [*[_AWAY] * 50, *api.statuses]  # for longer than the patience with anything else
    said = _index(url)
    assert said.count("users: waiting: The database is away.") == 1
    assert "searchable" in said


def test_passing_failure_is_outlived_when_the_api_breaks_once(api: Api, url: str) -> None:
    api.statuses = [_BROKEN, *api.statuses]
    assert "searchable" in _index(url)


@pytest.mark.parametrize("broken", ["uploads", "statuses"])
def test_servers_own_message_ends_it_when_the_api_stays_broken(api: Api, url: str, broken: str) -> None:
    setattr(api, broken, [_BROKEN])
    with pytest.raises(LocalRunError, match="users was not indexed: Something broke"):
        _index(url)


def test_api_is_given_up_when_nothing_answers() -> None:
    with pytest.raises(LocalRunError, match="users was not indexed: The API does not answer: "):
        _index("http://127.0.0.1:1")


@pytest.mark.parametrize(
    ("document", "uploaded"),
    [
        (_USERS, ("upload", "application/gzip")),
        (Document("users", packed({"a.yaml": ""})), ("upload", "application/zip")),
        (Document("users", packed({"a.yaml": ""}), "v1/a.yaml"), ("upload?entry=v1%2Fa.yaml", "application/zip")),
    ],
)
def test_document_is_sent_as_what_it_is_when_it_is_a_zip_or_none(
    api: Api, url: str, document: Document, uploaded: tuple[str, str]
) -> None:
    _index(url, document=document)
    assert api.uploaded == [uploaded]
