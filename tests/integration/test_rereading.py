"""Stored documents that are read again: where texts are made in another way, the stored ones and the vectors follow."""

import json
from typing import Any

import pytest

from opdex.catalog import rereading
from opdex.catalog.clone import clone_catalog
from opdex.catalog.rereading import Reread, reread_documents
from opdex.catalog.upload import store_document
from opdex.errors import DatabaseUnavailable
from opdex.openapi import Limits, describe
from opdex.search import SearchAnswer, SearchRequest
from opdex.search.searcher import Searcher
from tests.integration.engine import CATALOG, Engine, document, things
from tests.integration.library import library


def _reread(engine: Engine, seconds: float = 60.0, workers: int = 4, limits: Limits | None = None) -> Reread:
    identity = engine.embedder.identity
    return reread_documents(
        engine.database, engine.wake_ups, limits or Limits(), identity, workers=workers, seconds=seconds
    )


def _search(engine: Engine, q: str, **request: Any) -> SearchAnswer:
    return Searcher(engine.database, lambda: engine.embedder, 1_000_000).search(SearchRequest(q=q, **request))


def _specs(engine: Engine) -> list[tuple[int, int | None]]:
    """Return each spec's current and published revision."""
    rows = engine.sql("SELECT current_revision, published_revision FROM specs ORDER BY id")
    return [(row["current_revision"], row["published_revision"]) for row in rows]


def _schemes(engine: Engine) -> list[int]:
    return [row["text_scheme"] for row in engine.sql("SELECT text_scheme FROM revisions ORDER BY spec_id, revision")]


@pytest.fixture
def books(engine: Engine) -> Engine:
    engine.store("library", library())
    assert engine.worker().outcomes() == ["published"]
    engine.wake_ups.sent.clear()
    return engine


def _next_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opdex.openapi.operation_text.TEXT_SCHEME", "3")


def test_nothing_is_read_again_when_texts_are_made_in_the_same_way(books: Engine) -> None:
    assert _reread(books) == Reread()
    assert _specs(books) == [(1, 1)]


def test_texts_and_vectors_are_made_anew_when_texts_are_made_in_another_way(
    books: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _search(books, "charge for a delay", ranking="semantic")
    old = books.sql("SELECT text_hash FROM operations ORDER BY position")
    _next_scheme(monkeypatch)

    assert _reread(books) == Reread(documents=1)
    assert _specs(books) == [(2, 1)]
    assert _search(books, "charge for a delay", ranking="semantic") == before
    ((wake_up, _),) = books.wake_ups.sent
    books.embedder.calls.clear()
    assert books.worker().outcomes(wake_up=wake_up) == ["published"]

    new = [operation.text_hash for operation in describe(library()).operations]
    rows = books.sql("SELECT text_hash FROM operations WHERE revision = 2 ORDER BY position")
    assert [bytes(row["text_hash"]) for row in rows] == new != [bytes(row["text_hash"]) for row in old]
    assert len(books.embedder.texts) == len(set(new))
    assert _specs(books) == [(2, 2)]
    answer = _search(books, "charge for a delay", ranking="semantic")
    assert (answer.ranking, answer.note, len(answer.operations)) == ("semantic", None, len(before.operations))
    assert _search(books, "isbn prefix", ranking="lexical").operations[0].operation_id == "listBooks"
    assert _reread(books) == Reread()
    assert _schemes(books) == [2, 3]


def test_scheme_alone_is_noted_when_a_document_reads_the_same(books: Engine) -> None:
    books.upload("nothing", [])
    before = books.sql("SELECT * FROM specs ORDER BY id")
    books.sql("UPDATE revisions SET text_scheme = 1")

    assert _reread(books) == Reread(documents=2)
    assert _schemes(books) == [2, 2]
    assert books.sql("SELECT * FROM specs ORDER BY id") == before
    assert _reread(books) == Reread()


def test_scheme_is_noted_when_the_same_document_is_uploaded_again(books: Engine) -> None:
    books.sql("UPDATE revisions SET text_scheme = 1")
    books.store("library", library())
    assert _schemes(books) == [2]


def test_texts_of_a_newer_release_stay_when_the_one_before_still_sweeps(books: Engine) -> None:
    books.sql("UPDATE revisions SET text_scheme = 3")
    assert _reread(books) == Reread()
    books.store("library", library())
    assert _schemes(books) == [3]


def test_source_and_base_path_stay_when_a_document_is_read_again(
    books: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = document(["List all pets"])
    with books.database.transaction() as c:
        store_document(c, CATALOG, "pets", raw, describe(raw), "upload", "/given", books.embedder.identity)
    stored = [{"code": "missing_file", "message": "m", "pointer": ""}, {"code": "embedded_text_cut", **_SAID}]
    books.sql("UPDATE revisions SET warnings = %s WHERE spec_id = 2", json.dumps(stored))
    books.sql(
        "UPDATE specs SET source_kind = 'url', source_url = 'https://a.test/', etag = 'e', refresh_hours = 3,"
        " next_fetch_at = now(), fetch_failures = 2, last_fetch_error = 'away' WHERE id = 2"
    )
    kept = "source_kind, source_url, etag, refresh_hours, next_fetch_at, fetch_failures, last_fetch_error"
    before = books.sql(f"SELECT {kept} FROM specs WHERE id = 2")
    _next_scheme(monkeypatch)

    assert _reread(books) == Reread(documents=2)
    assert books.sql(f"SELECT {kept} FROM specs WHERE id = 2") == before
    (revision,) = books.sql("SELECT base_path, warnings FROM revisions WHERE spec_id = 2 AND revision = 2")
    assert revision == {"base_path": "/given", "warnings": stored[:1]}


_SAID = {"message": "m", "pointer": ""}


def test_clone_is_read_again_and_shares_vectors_when_texts_are_made_in_another_way(
    books: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = books.embedder.identity
    books.transact(lambda c: clone_catalog(c, CATALOG, identity, id="copy", name="copy", version="1"))
    assert _schemes(books) == [2, 2]
    _next_scheme(monkeypatch)
    books.embedder.calls.clear()

    assert _reread(books) == Reread(documents=2)
    assert sorted(books.worker().outcomes()) == ["published", "published"]
    assert _specs(books) == [(2, 2), (2, 2)]
    assert len(books.embedder.texts) == len(describe(library()).operations)


def test_others_are_read_again_when_some_are_refused_or_break(books: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rereading, "_BATCH", 1)
    for number, count in enumerate((1, 2, 3), 1):
        books.upload(f"pets{number}", things(count))
    books.sql("UPDATE revisions SET content = 'no gzip' WHERE spec_id = 2")
    _next_scheme(monkeypatch)

    assert _reread(books, limits=Limits(max_operations=3)) == Reread(documents=2, failures=2)
    # What this release refuses is not asked again; what broke is.
    assert books.sql("SELECT spec_id FROM revisions WHERE text_scheme = 3 ORDER BY 1") == [
        {"spec_id": spec_id} for spec_id in (1, 3, 4)
    ]
    assert _reread(books) == Reread(failures=1)


def test_as_many_workers_are_woken_as_there_are_when_many_documents_read_differently(
    books: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        books.upload(f"pets{number}", things(2, f"kind{number}"))
    _next_scheme(monkeypatch)

    assert _reread(books, seconds=0) == Reread()
    assert _reread(books, workers=2) == Reread(documents=4)
    assert len(books.wake_ups.sent) == 2


def test_newer_document_stays_when_it_comes_while_the_one_before_is_read_again(
    books: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    _next_scheme(monkeypatch)

    def overtaken(raw: bytes, limits: Limits) -> Any:
        books.upload("library", ["List all pets"])
        return describe(raw, limits)

    monkeypatch.setattr(rereading, "describe", overtaken)
    assert _reread(books) == Reread(documents=1)
    assert _specs(books) == [(2, 1)]
    assert _reread(books) == Reread()


def test_rereading_stops_when_the_database_is_away(books: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    _next_scheme(monkeypatch)

    def away(*_: Any, **__: Any) -> Any:
        raise DatabaseUnavailable

    monkeypatch.setattr(rereading, "store_revision", away)
    with pytest.raises(DatabaseUnavailable):
        _reread(books)
