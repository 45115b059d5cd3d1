"""Octets through the gateway, both ways, whatever a client says that they are or that it wants."""

import gzip
from typing import Any
from uuid import uuid4

import pytest

from tests.e2e.system import System

_DOCUMENT = "openapi: 3.0.3\ninfo: {title: Bücher, version: '1'}\npaths: {/books: {get: {summary: List books}}}\n"


@pytest.mark.parametrize("accept", ["*/*", "application/gzip", "text/html,*/*;q=0.8"])
@pytest.mark.parametrize("media_type", ["application/yaml", "text/plain", "application/octet-stream"])
def test_document_comes_back_as_it_was_sent(running_system: dict[str, Any], media_type: str, accept: str) -> None:
    raw = _DOCUMENT.encode("utf-16")
    system = System(running_system)
    catalog = f"content-{uuid4().hex[:6]}"
    spec = f"/api-catalogs/{catalog}/specs/books"
    with system.http:
        system.create_catalog(catalog)
        system.call("PUT", f"{spec}/upload", 201, content=raw, headers={"Content-Type": media_type})
        answer = system.http.get(f"/api/v1/admin{spec}/content", headers={"Accept": accept})
        piece = system.http.get(f"/api/v1/admin{spec}/content", headers={"Accept": accept, "Range": "bytes=0-9"})
        system.call("DELETE", f"/api-catalogs/{catalog}", 204)

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/gzip")
    assert gzip.decompress(answer.content) == raw
    assert (piece.status_code, piece.content) == (206, answer.content[:10])
