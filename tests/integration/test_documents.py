"""What is stored of a document, over HTTP: its octets and its operations; and how it is stored."""

import gzip
import hashlib
import json
import os
import tempfile
from itertools import chain
from pathlib import Path
from urllib.parse import quote

import pytest

from opdex.catalog.store import create_catalog
from opdex.catalog.upload import store_document
from opdex.database import Database
from opdex.http.answer_size import MAX_OCTETS
from opdex.openapi import describe
from tests.gateway import Answer, Gateway
from tests.integration.conforming import upload
from tests.integration.engine import Engine, document, things

_GZIP = {"Accept": "*/*"}


@pytest.fixture
def users(gateway: Gateway, crm: str) -> str:
    """The address of a spec with five operations."""
    assert upload(gateway, f"{crm}/specs/users", things(5)).status == 201
    return f"{crm}/specs/users"


# Content.


def test_content_is_the_document_as_it_was_sent(gateway: Gateway, crm: str) -> None:
    raw = "openapi: 3.0.3\ninfo: {title: Ünïcode, version: '1'}\npaths: {}\n".encode("utf-16")
    put = gateway.call("PUT", f"{crm}/specs/users/upload", raw, headers={"Content-Type": "application/yaml"})
    assert put.status == 201

    answer = gateway.call("GET", f"{crm}/specs/users/content", headers=_GZIP)

    assert (answer.status, answer.headers["content-type"]) == (200, "application/gzip")
    assert "content-encoding" not in answer.headers
    assert gzip.decompress(answer.body) == raw
    assert hashlib.sha256(raw).hexdigest() == put.json["content_sha256"] == answer.headers["etag"].strip('"')
    assert answer.headers["content-disposition"] == 'attachment; filename="users.gz"'


def test_content_is_of_the_current_revision_also_of_a_clone(gateway: Gateway, crm: str, users: str) -> None:
    upload(gateway, users, things(7))
    gateway.call("POST", f"{crm}/clone", {"id": "copy", "name": "Copy", "version": "1"})
    gateway.call("DELETE", crm)

    answer = gateway.call("GET", users.replace("/crm/", "/copy/") + "/content", headers=_GZIP)

    assert gzip.decompress(answer.body) == document(things(7))


@pytest.mark.parametrize(
    ("wanted", "first", "end"),
    [("bytes=0-9", 0, 10), ("bytes=10-", 10, None), ("bytes=-7", -7, None), ("bytes=5-99999999", 5, None)],
)
def test_piece_of_the_content_is_206(gateway: Gateway, users: str, wanted: str, first: int, end: int | None) -> None:
    whole = gateway.call("GET", f"{users}/content", headers=_GZIP).body
    piece = gateway.call("GET", f"{users}/content", headers={**_GZIP, "Range": wanted})
    assert (piece.status, piece.body) == (206, whole[first:end])
    start = first % len(whole)
    assert piece.headers["content-range"] == f"bytes {start}-{start + len(piece.body) - 1}/{len(whole)}"


@pytest.mark.parametrize("wanted", ["", "bytes=-", "bytes=a-b", "bytes=0-1,3-4", "lines=1-2", "bytes=0-9" + "9" * 40])
def test_range_that_is_none_is_ignored(gateway: Gateway, users: str, wanted: str) -> None:
    answer = gateway.call("GET", f"{users}/content", headers={**_GZIP, "Range": wanted})
    assert (answer.status, gzip.decompress(answer.body)) == (200, document(things(5)))


@pytest.mark.parametrize("wanted", ["bytes=99999-", "bytes=99999-100000", "bytes=-0", "bytes=7-6"])
def test_range_that_begins_behind_the_end_is_416(gateway: Gateway, users: str, wanted: str) -> None:
    size = len(gateway.call("GET", f"{users}/content", headers=_GZIP).body)
    answer = gateway.call("GET", f"{users}/content", headers={**_GZIP, "Range": wanted})
    assert (answer.status, answer.code) == (416, "range_not_satisfiable")
    assert answer.headers["content-range"] == f"bytes */{size}"


def test_content_larger_than_an_answer_comes_piece_by_piece(gateway: Gateway, crm: str, engine: Engine) -> None:
    raw = document([*things(2), os.urandom(4_000_000).hex()])
    engine.transact(
        lambda c: store_document(c, "crm", "big", raw, describe(raw), "upload", None, engine.embedder.identity)
    )
    path = f"{crm}/specs/big/content"
    refused = gateway.call("GET", path, headers=_GZIP)
    assert (refused.status, refused.code) == (413, "content_too_large")
    size = refused.json["error"]["details"]["bytes"]
    assert size > MAX_OCTETS == refused.json["error"]["details"]["at_most"]

    first = gateway.call("GET", path, headers={**_GZIP, "Range": "bytes=0-"})
    rest = gateway.call(
        "GET", path, headers={**_GZIP, "Range": f"bytes={len(first.body)}-", "If-Range": first.headers["etag"]}
    )

    assert (first.status, rest.status) == (206, 206)
    assert len(first.body + rest.body) == size
    assert gzip.decompress(first.body + rest.body) == raw


def test_all_is_sent_when_the_document_is_another_than_that_of_the_piece_before(gateway: Gateway, users: str) -> None:
    headers = {**_GZIP, "Range": "bytes=10-", "If-Range": '"another"'}
    assert gateway.call("GET", f"{users}/content", headers=headers).status == 200


# Operations.


def _pages(gateway: Gateway, spec: str, limit: int) -> list[list[str]]:
    pages, cursor = [], ""
    while True:
        page = gateway.call("GET", f"{spec}/operations?limit={limit}{cursor}").json
        pages.append([operation["path"] for operation in page["operations"]])
        if "next" not in page:
            return pages
        cursor = f"&cursor={page['next']}"


def test_operations_are_listed_in_the_order_of_the_document(gateway: Gateway, crm: str) -> None:
    last = {"summary": "Last", "description": "d", "tags": ["a", "b"], "deprecated": True}
    paths = {"/z": {"get": {"operationId": "z", **last}}, "/a": {"post": {}, "get": {"operationId": "z"}}}
    body = {"openapi": "3.0.3", "info": {"title": "T", "version": "1"}, "paths": paths}
    gateway.call("PUT", f"{crm}/specs/users", {"source_kind": "inline", "content": json.dumps(body)})

    listed = gateway.call("GET", f"{crm}/specs/users/operations").json["operations"]

    place = {"spec_name": "users", "catalog_id": "crm"}
    bare = {"summary": "", "description": "", "tags": [], "deprecated": False, **place}
    assert listed == [
        {"operation_id": "z", "method": "GET", "path": "/z", **last, **place},
        {"operation_id": "POST /a", "method": "POST", "path": "/a", **bare},
        {"operation_id": "GET /a", "method": "GET", "path": "/a", **bare},
    ]


@pytest.mark.parametrize(("limit", "sizes"), [(1, [1] * 5), (2, [2, 2, 1]), (5, [5]), (500, [5])])
def test_operations_come_page_by_page(gateway: Gateway, users: str, limit: int, sizes: list[int]) -> None:
    pages = _pages(gateway, users, limit)
    assert [len(page) for page in pages] == sizes
    assert list(chain.from_iterable(pages)) == [f"/things/{n}" for n in range(5)]


def test_operations_that_do_not_fit_into_one_answer_go_on_at_next(gateway: Gateway, crm: str) -> None:
    paths = {
        f"/x{n}": {"get": {"summary": "s", "description": "\N{CJK UNIFIED IDEOGRAPH-4E2D}" * 7_000}} for n in range(400)
    }
    wide = json.dumps({"openapi": "3.0.3", "info": {"title": "Wide", "version": "1"}, "paths": paths}).encode()
    headers = {"Content-Type": "application/gzip"}
    assert gateway.call("PUT", f"{crm}/specs/wide/upload", gzip.compress(wide), headers=headers).status == 201
    pages = _pages(gateway, f"{crm}/specs/wide", 500)
    assert len(pages) > 1
    assert list(chain.from_iterable(pages)) == list(paths)


def test_list_goes_on_with_the_same_revision_when_another_one_is_uploaded(gateway: Gateway, users: str) -> None:
    first = gateway.call("GET", f"{users}/operations?limit=3").json
    upload(gateway, users, things(3, "other"))

    rest = gateway.call("GET", f"{users}/operations?limit=3&cursor={first['next']}").json

    assert [operation["summary"] for operation in rest["operations"]] == ["thing number 3", "thing number 4"]
    assert len(gateway.call("GET", f"{users}/operations").json["operations"]) == 3


def test_cursor_of_a_revision_that_is_gone_says_so(gateway: Gateway, users: str, engine: Engine) -> None:
    cursor = gateway.call("GET", f"{users}/operations?limit=3").json["next"]
    upload(gateway, users, things(3, "other"))
    engine.sql("DELETE FROM revisions WHERE revision = 1")

    answer = gateway.call("GET", f"{users}/operations?cursor={cursor}")

    assert (answer.status, answer.code) == (400, "malformed_request")
    assert "first page" in answer.json["error"]["message"]


@pytest.mark.parametrize("cursor", ["!", "", "MQ", "MS4tMQ", "MC4x", "MS4xLjE", "4pGgLuKRoA", "MS4wMDAwMDAwMDAwMDA"])
def test_cursor_that_was_never_given_is_400(gateway: Gateway, users: str, cursor: str) -> None:
    answer = gateway.call("GET", f"{users}/operations?cursor={quote(cursor)}")
    assert (answer.status, answer.code) == (400, "malformed_request")


@pytest.mark.parametrize("what", ["operations", "content"])
def test_nothing_is_read_of_a_spec_that_is_not_there(gateway: Gateway, crm: str, what: str) -> None:
    def code(answer: Answer) -> tuple[int, str]:
        return answer.status, answer.code

    assert code(gateway.call("GET", f"{crm}/specs/nothing/{what}")) == (404, "spec_not_found")
    assert code(gateway.call("GET", crm.replace("crm", "nothing") + f"/specs/a/{what}")) == (404, "catalog_not_found")


# Storing.


def test_as_many_statements_are_sent_for_ten_thousand_operations_as_for_ten(engine: Engine) -> None:
    engine.transact(lambda c: create_catalog(c, id="crm", name="CRM", version="1"))
    few, many = _statements(engine, "few", 10), _statements(engine, "many", 10_000)

    assert few == many < 30
    assert engine.sql("SELECT count(*) FROM stored_operations") == [{"count": 10_010}]


def _statements(engine: Engine, spec_name: str, operations: int) -> int:
    """Store a document and return how many statements went to the server for it, by libpq's own account."""
    raw = document(things(operations, spec_name))
    description = describe(raw)
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace"
        database = Database(engine.settings)
        with database.transaction() as c, trace.open("w") as file:
            c.pgconn.trace(file.fileno())
            store_document(c, "crm", spec_name, raw, description, "upload", None, engine.embedder.identity)
            c.pgconn.untrace()
        database.close()
        kinds = [line.split("\t")[3] for line in trace.read_text().splitlines() if "\tF\t" in line]
    assert kinds.count("CopyDone") == 1
    return sum(kind in ("Query", "Execute") for kind in kinds)
