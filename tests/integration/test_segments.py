"""Segments in the database: written with a revision, shared, made anew, dropped, and not missed where there is none."""

import gzip
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from functions.migrate import handler as migrate_function
from opdex.catalog import segments as stored_segments
from opdex.catalog.clone import clone_catalog
from opdex.catalog.segments import (
    Extent,
    Rebuilt,
    forget_segments,
    make_segment,
    read_segments,
    rebuild_segments,
    segment_sizes,
)
from opdex.catalog.store import delete_catalog
from opdex.database import Connection
from opdex.errors import DatabaseUnavailable
from opdex.jobs.retention import apply_retention
from opdex.openapi import Limits, Operation, describe
from opdex.ranking.segment_builder import SCHEME, build_segment
from opdex.search import SearchAnswer, SearchRequest
from opdex.search.searcher import Searcher
from opdex.search.segment_cache import MAKING_SECONDS
from tests.gateway import LambdaContext
from tests.integration.engine import CATALOG, Engine, document
from tests.integration.library import library

_DESCRIPTION = describe(library())
_BUILT = build_segment(_DESCRIPTION.title, _DESCRIPTION.operations)


@pytest.fixture
def books(engine: Engine) -> Engine:
    engine.store("library", library())
    return engine


def segments(engine: Engine) -> list[dict[str, Any]]:
    return engine.sql("SELECT spec_id, revision, scheme, octets FROM segments ORDER BY spec_id, revision, scheme")


def search(engine: Engine, q: str, cache_bytes: int = 1_000_000, **request: Any) -> SearchAnswer:
    searcher = Searcher(engine.database, lambda: engine.embedder, cache_bytes)
    return searcher.search(SearchRequest(q=q, ranking="lexical", **request))


def found(engine: Engine, q: str, **request: Any) -> list[str]:
    return [operation.operation_id for operation in search(engine, q, **request).operations]


def rebuild(engine: Engine, seconds: float = 60.0) -> int:
    """Return how many segments were made, where none failed."""
    rebuilt = rebuild_segments(engine.database, Limits(), seconds=seconds)
    assert rebuilt.failures == 0
    return rebuilt.segments


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
    assert [segment["octets"] for segment in segments(books) if segment["scheme"] == SCHEME] == [_BUILT]
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


def test_segment_keeps_names_and_stored_hashes_when_texts_are_made_in_another_way(
    books: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    books.sql("DELETE FROM segments")
    monkeypatch.setattr("opdex.openapi.operation_text.TEXT_SCHEME", "next")
    assert rebuild(books) == 1
    assert [segment["octets"] for segment in segments(books)] == [_BUILT]
    assert found(books, "isbn prefix") == ["listBooks"]


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
    assert engine.transact(lambda c: segment_sizes(c, [(7, 7)])) == {}
    assert engine.transact(lambda c: make_segment(c, (7, 7))) == build_segment("", [])


def test_sizes_are_those_of_what_is_read(books: Engine) -> None:
    assert books.transact(lambda c: segment_sizes(c, [(1, 1), (7, 7)])) == {(1, 1): len(_BUILT)}


def test_extent_counts_octets_when_characters_are_wide() -> None:
    (operation,) = describe(document(["Pets"]), Limits()).operations
    narrow, wide = (replace(operation, summary=text * 20) for text in ("ab", "宠物"))
    assert Extent(1, octets=100).holds([narrow])
    assert not Extent(1, octets=100).holds([wide])
    assert Extent(1, octets=150).holds([wide])


@pytest.mark.parametrize("extent", [Extent(operations=1, octets=10_000), Extent(operations=100, octets=99)])
def test_segment_of_a_large_document_is_left_to_the_sweep(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, extent: Extent
) -> None:
    monkeypatch.setattr(stored_segments, "AT_UPLOAD", extent)
    monkeypatch.setattr(stored_segments, "WITHIN_A_SEARCH", extent)
    engine.store("library", library())
    engine.upload("pets", ["List all pets"])
    assert [segment["spec_id"] for segment in segments(engine)] == [2]

    answer = search(engine, "charge for a delay")
    assert answer.operations == []
    assert answer.note == "1 spec is left out: not ready for search yet; ask again in some minutes."

    assert rebuild(engine) == 1
    answer = search(engine, "charge for a delay")
    assert [operation.operation_id for operation in answer.operations] == ["fineMember"]
    assert answer.note is None


def test_search_makes_few_segments_and_is_whole_again_after_a_sweep(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        engine.upload(f"pets{number}", [f"List all pets of kind{number}"])
    engine.sql("UPDATE segments SET scheme = -1, octets = 'old'")
    now = [0.0]
    made: list[tuple[int, int]] = []

    def slowly(connection: Connection, origin: tuple[int, int]) -> bytes | None:
        made.append(origin)
        now[0] += MAKING_SECONDS / 2
        return make_segment(connection, origin)

    monkeypatch.setattr("opdex.search.segment_cache.make_segment", slowly)
    searcher = Searcher(engine.database, lambda: engine.embedder, cache_bytes=1_000_000, clock=lambda: now[0])
    request = SearchRequest(q="pets", ranking="lexical")

    answer = searcher.search(request)
    assert made == [(1, 1), (2, 1)]
    assert len(answer.operations) == 2
    assert answer.note == "3 specs are left out: not ready for search yet; ask again in some minutes."

    assert rebuild(engine) == 5
    answer = searcher.search(request)
    assert made == [(1, 1), (2, 1)]
    assert len(answer.operations) == 5
    assert answer.note is None


def test_search_over_more_than_it_may_hold_says_what_is_left_out(engine: Engine) -> None:
    for number in range(3):
        engine.upload(f"pets{number}", ["List all pets"])
    room = 2 * len(segments(engine)[0]["octets"])
    answer = search(engine, "pets", cache_bytes=room)
    assert len(answer.operations) == 2
    assert answer.note == "1 spec is left out: all are more than one search may look at; name catalogs."
    assert len(search(engine, "pets", cache_bytes=room, specs=("pets2",)).operations) == 1


def test_other_segments_are_made_when_one_fails(books: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    books.upload("pets", ["List all pets"])
    books.sql("DELETE FROM segments")

    def failing(title: str, operations: Sequence[Operation]) -> bytes:
        if len(operations) > 1:
            raise RecursionError
        return build_segment(title, operations)

    monkeypatch.setattr(stored_segments, "build_segment", failing)
    assert rebuild_segments(books.database, Limits(), seconds=60) == Rebuilt(segments=1, failures=1)
    assert [segment["spec_id"] for segment in segments(books)] == [2]


class _Deploy(LambdaContext):
    def get_remaining_time_in_millis(self) -> int:
        return 900_000


def test_deploy_makes_what_search_needs_when_it_comes_from_a_release_without_it(
    books: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setattr(migrate_function, "_migrate", list)
    books.sql("UPDATE segments SET scheme = -1")
    migrate_function.handler({}, _Deploy())
    assert [segment["scheme"] for segment in segments(books)] == [-1, SCHEME]
    assert found(books, "isbn prefix") == ["listBooks"]


def test_segments_of_large_documents_are_made_last(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_segments, "AT_UPLOAD", Extent(operations=2, octets=1_000))
    monkeypatch.setattr(stored_segments, "_BATCH", 1)
    for number, count in enumerate((3, 1, 4, 2)):
        engine.upload(f"pets{number}", [f"List all pets {place}" for place in range(count)])
    engine.sql("DELETE FROM segments")
    made: list[int] = []

    def made_in_turn(title: str, operations: Sequence[Operation]) -> bytes:
        made.append(len(operations))
        return build_segment(title, operations)

    monkeypatch.setattr(stored_segments, "build_segment", made_in_turn)
    assert rebuild(engine) == 4
    assert made == [1, 2, 3, 4]


def test_rebuilding_stops_when_the_database_is_away(books: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    books.sql("DELETE FROM segments")

    def away(title: str, operations: Sequence[Operation]) -> bytes:
        raise DatabaseUnavailable

    monkeypatch.setattr(stored_segments, "build_segment", away)
    with pytest.raises(DatabaseUnavailable):
        rebuild(books)


def test_outdated_revisions_are_found_when_they_are_more_than_one_batch(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_segments, "_BATCH", 2)
    for number in range(5):
        engine.upload(f"pets{number}", ["List all pets"])
    engine.sql("UPDATE segments SET scheme = -1")
    assert rebuild(engine) == 5
    engine.sql("UPDATE segments SET created_at = now() - interval '2 days'")
    assert forget_segments(engine.database, seconds=0) == 0
    assert forget_segments(engine.database, seconds=60) == 5
    assert {segment["scheme"] for segment in segments(engine)} == {SCHEME}


def test_no_segment_is_stored_when_its_revision_went_meanwhile(books: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    books.sql("DELETE FROM segments")

    def overtaken(title: str, operations: Sequence[Operation]) -> bytes:
        books.transact(lambda c: delete_catalog(c, CATALOG))
        apply_retention(books.database, days=30, seconds=60)
        return build_segment(title, operations)

    monkeypatch.setattr(stored_segments, "build_segment", overtaken)
    assert rebuild(books) == 0
    assert segments(books) == []


def test_revision_stays_while_its_segment_is_being_stored(books: Engine) -> None:
    for summary in ("one", "two"):
        books.upload("library", [summary])
    hold = stored_segments._SQL["hold_revision"]
    with books.database.connect() as other, other.transaction():
        other.execute(hold, {"described_spec_id": 1, "described_revision": 1})
        books.sql("UPDATE revisions SET created_at = now() - interval '60 days'")
        apply_retention(books.database, days=30, seconds=60)
        assert books.sql("SELECT 1 FROM revisions WHERE revision = 1") != []
    apply_retention(books.database, days=30, seconds=60)
    assert [segment["revision"] for segment in segments(books)] == [3]


def test_segments_that_the_release_before_left_behind_are_dropped(books: Engine) -> None:
    identity = books.embedder.identity
    books.upload("pets", ["List all pets"], catalog_id="other")
    books.transact(lambda c: clone_catalog(c, "other", identity, id="copy", name="copy", version="1"))
    books.transact(lambda c: delete_catalog(c, CATALOG))
    books.transact(lambda c: delete_catalog(c, "other"))
    books.sql("DELETE FROM stored_operations WHERE spec_id = 1")
    assert forget_segments(books.database, seconds=60) == 1
    assert [segment["spec_id"] for segment in segments(books)] == [2]


def test_segments_of_another_scheme_stay_for_a_day_when_there_are_new_ones(books: Engine) -> None:
    books.sql("UPDATE segments SET scheme = -1, created_at = now() - interval '9 days'")
    assert forget_segments(books.database, seconds=60) == 0
    assert rebuild(books) == 1
    assert forget_segments(books.database, seconds=60) == 0
    assert [segment["scheme"] for segment in segments(books)] == [-1, SCHEME]
    books.sql("UPDATE segments SET created_at = now() - interval '25 hours' WHERE scheme = %s", SCHEME)
    assert forget_segments(books.database, seconds=60) == 1
    assert [segment["scheme"] for segment in segments(books)] == [SCHEME]


def test_segments_of_the_new_release_stay_when_the_one_before_still_sweeps(
    books: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    books.sql("UPDATE segments SET created_at = now() - interval '9 days'")
    with monkeypatch.context() as deployed:
        deployed.setattr(stored_segments, "SCHEME", SCHEME + 1)
        assert rebuild(books) == 1
    assert forget_segments(books.database, seconds=60) == 0
    assert [segment["scheme"] for segment in segments(books)] == [SCHEME, SCHEME + 1]
