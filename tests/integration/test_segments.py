"""Segments in the database: written with a revision, shared, made anew, dropped, and not missed where there is none."""

import gzip
from typing import Any

import pytest

from opdex.catalog.clone import clone_catalog
from opdex.catalog.segments import make_segment, read_segments, rebuild_segments
from opdex.catalog.store import delete_catalog
from opdex.jobs.retention import apply_retention
from opdex.openapi import Limits, describe
from opdex.ranking.segment_builder import SCHEME, build_segment
from opdex.search import SearchRequest
from opdex.search.searcher import Searcher
from tests.integration.engine import CATALOG, Engine
from tests.integration.library import library

_DESCRIPTION = describe(library())
_BUILT = build_segment(_DESCRIPTION.title, _DESCRIPTION.operations)


@pytest.fixture
def books(engine: Engine) -> Engine:
    engine.store("library", library())
    return engine


def segments(engine: Engine) -> list[dict[str, Any]]:
    return engine.sql("SELECT spec_id, revision, scheme, octets FROM segments ORDER BY spec_id, revision")


def found(engine: Engine, q: str, **request: Any) -> list[str]:
    searcher = Searcher(engine.database, lambda: engine.embedder, cache_bytes=1_000_000)
    answer = searcher.search(SearchRequest(q=q, ranking="lexical", **request))
    return [operation.operation_id for operation in answer.operations]


def rebuild(engine: Engine, seconds: float = 60.0) -> int:
    return rebuild_segments(engine.database, Limits(), seconds=seconds)


def test_segment_is_stored_when_a_document_is(books: Engine) -> None:
    assert segments(books) == [{"spec_id": 1, "revision": 1, "scheme": SCHEME, "octets": _BUILT}]
    books.store("library", library())
    assert len(segments(books)) == 1
    assert rebuild(books) == 0


def test_no_segment_is_stored_when_there_is_no_operation(engine: Engine) -> None:
    engine.upload("nothing", [])
    assert segments(engine) == []
    assert rebuild(engine) == 0
    assert found(engine, "anything") == []


def test_names_of_parameters_and_schemas_find_an_operation_when_it_was_uploaded(books: Engine) -> None:
    assert found(books, "isbn prefix") == ["listBooks"]


def test_clone_is_searched_by_the_segment_of_its_origin(books: Engine) -> None:
    identity = books.embedder.identity
    books.transact(lambda c: clone_catalog(c, CATALOG, identity, id="copy", name="copy", version="1"))
    assert len(segments(books)) == 1
    assert found(books, "isbn prefix", catalogs=("copy",)) == ["listBooks"]
    books.transact(lambda c: delete_catalog(c, CATALOG))
    apply_retention(books.database, days=30, seconds=60)
    assert found(books, "isbn prefix") == ["listBooks"]
    assert rebuild(books) == 0


@pytest.mark.parametrize("damage", ["DELETE FROM segments", "UPDATE segments SET scheme = -1, octets = 'old'"])
def test_segment_is_made_anew_when_it_is_not_up_to_date(books: Engine, damage: str) -> None:
    books.sql(damage)
    assert rebuild(books, seconds=0) == 0
    assert rebuild(books) == 1
    assert [segment["octets"] for segment in segments(books)] == [_BUILT]
    assert rebuild(books) == 0


def test_all_segments_are_made_anew_when_several_are_missing(books: Engine) -> None:
    identity = books.embedder.identity
    for number in range(3):
        books.upload(f"pets{number}", ["List all pets"])
    books.transact(lambda c: clone_catalog(c, CATALOG, identity, id="copy", name="copy", version="1"))
    before = segments(books)
    books.sql("DELETE FROM segments")
    assert rebuild(books) == 4
    assert segments(books) == before


def test_only_what_search_sees_is_made_anew(engine: Engine) -> None:
    for summary in ("one", "two", "three"):
        engine.job_id("pets", [summary])
    engine.worker().handle()
    engine.upload("pets", ["four"])
    engine.sql("DELETE FROM segments")
    assert rebuild(engine) == 2
    assert [segment["revision"] for segment in segments(engine)] == [3, 4]


@pytest.mark.parametrize("damage", ["DELETE FROM segments", "UPDATE segments SET scheme = -1, octets = 'old'"])
def test_search_answers_when_there_is_no_usable_segment(books: Engine, damage: str) -> None:
    books.sql(damage)
    assert found(books, "charge for a delay") == ["fineMember"]
    assert found(books, "isbn prefix") == []


def test_warm_search_knows_all_names_when_the_sweep_has_made_them(books: Engine) -> None:
    books.sql("DELETE FROM segments")
    searcher = Searcher(books.database, lambda: books.embedder, cache_bytes=1_000_000)
    request = SearchRequest(q="isbn prefix", ranking="lexical")
    assert searcher.search(request).operations == []
    rebuild(books)
    assert [operation.operation_id for operation in searcher.search(request).operations] == ["listBooks"]


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE stored_operations SET path = '/elsewhere' WHERE position = 0",
        "DELETE FROM stored_operations WHERE position = 5",
    ],
)
def test_segment_is_that_of_the_stored_operations_when_the_document_says_others(books: Engine, damage: str) -> None:
    books.sql("DELETE FROM segments")
    books.sql(damage)
    assert rebuild(books) == 1
    expected = books.transact(lambda c: make_segment(c, (1, 1)))
    assert [segment["octets"] for segment in segments(books)] == [expected]
    assert expected != _BUILT


def test_segment_is_that_of_the_stored_operations_when_the_document_is_refused_now(books: Engine) -> None:
    books.sql("DELETE FROM segments")
    books.sql("UPDATE revisions SET content = %s", gzip.compress(b"swagger: '1.2'"))
    assert rebuild(books) == 1
    assert found(books, "charge for a delay") == ["fineMember"]


def test_segments_are_dropped_when_their_operations_are(books: Engine) -> None:
    books.upload("pets", ["List all pets"], catalog_id="other")
    books.transact(lambda c: delete_catalog(c, CATALOG))
    apply_retention(books.database, days=30, seconds=60)
    assert [segment["spec_id"] for segment in segments(books)] == [2]


def test_nothing_is_read_when_nothing_is_stored(engine: Engine) -> None:
    assert engine.transact(lambda c: read_segments(c, [(7, 7)])) == {}
    assert engine.transact(lambda c: read_segments(c, [])) == {}
    assert engine.transact(lambda c: make_segment(c, (7, 7))) == build_segment("", [])
