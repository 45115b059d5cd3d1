"""Parsed documents: parsed once, kept while there is room."""

import gzip
import json
from typing import Any

import pytest

from opdex.errors import DocumentUnreadable
from opdex.mcp.parsed_documents import ParsedDocuments
from opdex.openapi.limits import Limits


def _document(**paths: Any) -> bytes:
    written = {f"/{name}": {"get": {"summary": summary}} for name, summary in paths.items()}
    return json.dumps({"openapi": "3.0.3", "info": {"title": "T", "version": "1"}, "paths": written}).encode()


class _Store:
    def __init__(self, octets: bytes) -> None:
        self.octets, self.loads = octets, 0

    def load(self) -> bytes:
        self.loads += 1
        return self.octets


def test_document_is_loaded_once_when_it_is_asked_for_again() -> None:
    documents, store = ParsedDocuments(Limits()), _Store(gzip.compress(_document(a="A", b="B")))
    first, second = (documents.get("sha", store.load) for _ in range(2))
    assert first is second
    assert store.loads == 1
    assert [operation.node["summary"] for operation in first.operations] == ["A", "B"]


@pytest.mark.parametrize(("position", "summary"), [(0, "A"), (1, "B"), (2, "A"), (9, "A")])
def test_operation_is_the_one_of_its_method_and_path_when_its_position_is_not_the_stored_one(
    position: int, summary: str
) -> None:
    written = {"/a": {"get": {"summary": "A"}}, "a ": {"get": {"summary": "B"}}, "/b": {"get": {"summary": "C"}}}
    raw = json.dumps({"openapi": "3.0.3", "info": {"title": "T", "version": "1"}, "paths": written}).encode()
    document = ParsedDocuments(Limits()).get("sha", lambda: raw)
    found = document.operation("GET", "/a", position)
    assert found is not None
    assert found.node["summary"] == summary
    assert document.operation("PUT", "/a", position) is None


def test_document_used_longest_ago_goes_when_there_is_no_room() -> None:
    octets = _document(a="A")
    documents, store = ParsedDocuments(Limits(), most_bytes=2 * len(octets)), _Store(octets)
    for sha in ("one", "two", "one", "three", "one"):
        documents.get(sha, store.load)
    assert store.loads == 3
    documents.get("two", store.load)
    assert store.loads == 4


def test_document_is_not_kept_when_it_is_larger_than_all_room() -> None:
    small, large = _document(a="A"), _document(a="A" * 500)
    documents = ParsedDocuments(Limits(), most_bytes=len(small) + 10)
    kept, passing = _Store(small), _Store(large)
    for _ in range(2):
        documents.get("small", kept.load)
        documents.get("large", passing.load)
    assert (kept.loads, passing.loads) == (1, 2)


def test_error_is_a_document_error_when_the_octets_are_damaged() -> None:
    damaged = gzip.compress(_document(a="A"))[:-20]
    with pytest.raises(DocumentUnreadable):
        ParsedDocuments(Limits()).get("sha", lambda: damaged)
