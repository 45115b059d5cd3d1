"""Search over real rows: channels, filters, fusion, and what readers see while a spec is re-indexed."""

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from numpy.typing import NDArray

from opdex.catalog.clone import clone_catalog
from opdex.catalog.segments import read_segments
from opdex.embedding import Vector
from opdex.embedding.ollama import OllamaEmbedder
from opdex.embedding.registry import find_model
from opdex.embedding.vector_index import index_vectors
from opdex.errors import ConfigurationError, OpdexError, ProviderTimeout
from opdex.jobs.enqueue import reembed_catalog
from opdex.openapi import describe
from opdex.ranking import graph
from opdex.ranking.parts import PARTS
from opdex.ranking.scope import Scope
from opdex.ranking.segment import Segment
from opdex.search import SearchAnswer, SearchRequest
from opdex.search.held_vectors import HeldVectors, Publication
from opdex.search.searcher import Searcher
from opdex.search.segment_cache import Edition
from opdex.search.similarities import StoredSimilarities
from tests.integration.engine import Engine, ScriptedEmbedder, document, things, wait_until
from tests.integration.library import library
from tests.ollama_server import MODEL, Failure, OllamaServer, vector_of

_PETS = ["List all pets", "Create a pet", "Delete the owner of a shop", "Find stores near a place"]


def _search(engine: Engine, q: str, **request: Any) -> SearchAnswer:
    return _searcher(engine).search(SearchRequest(q=q, **request))


def _searcher(engine: Engine) -> Searcher:
    return Searcher(engine.database, lambda: engine.embedder, cache_bytes=1_000_000)


def _paths(answer: SearchAnswer) -> list[str]:
    return [operation.path for operation in answer.operations]


@pytest.fixture
def pets(engine: Engine) -> Engine:
    engine.job_id("pets", _PETS)
    engine.worker().handle()
    return engine


def test_operation_is_found_by_other_forms_of_its_words_when_ranked_lexically(pets: Engine) -> None:
    answer = _search(pets, "listing a pet", ranking="lexical")

    assert _paths(answer)[0] == "/things/0"
    assert answer.ranking == "lexical"
    assert answer.note is None
    assert all(0 <= operation.score <= 1 and operation.matched == ["lexical"] for operation in answer.operations)


def test_nearest_text_comes_first_when_ranked_semantically(pets: Engine) -> None:
    text = next(text for text in pets.embedder.texts if "owner" in text)

    answer = _search(pets, text, ranking="semantic")

    assert _paths(answer)[0] == "/things/2"
    assert answer.operations[0].score == pytest.approx(1.0)
    assert len(answer.operations) == 4


def test_both_channels_are_named_when_both_have_an_operation(pets: Engine) -> None:
    answer = _search(pets, "stores near")

    found = {operation.path: operation for operation in answer.operations}
    assert set(found["/things/3"].matched) == {"semantic", "lexical"}
    assert answer.ranking == "hybrid"


@pytest.mark.parametrize("error", [ProviderTimeout("too slow"), ConfigurationError("no model")])
@pytest.mark.parametrize("ranking", ["hybrid", "semantic"])
def test_answer_is_lexical_with_a_note_when_the_query_cannot_be_embedded(
    pets: Engine, error: OpdexError, ranking: Any
) -> None:
    def broken() -> ScriptedEmbedder:
        raise error

    searcher = Searcher(pets.database, broken, cache_bytes=1_000_000)
    answer = searcher.search(SearchRequest(q="list pets", ranking=ranking))

    assert _paths(answer)[0] == "/things/0"
    assert answer.ranking == "lexical"
    assert error.message in str(answer.note)


def test_answer_is_lexical_with_a_note_when_the_spec_is_not_indexed_yet(engine: Engine) -> None:
    engine.upload("pets", _PETS)

    answer = _search(engine, "list pets", ranking="semantic")

    assert _paths(answer)[0] == "/things/0"
    assert (answer.ranking, answer.note) == ("lexical", "1 spec is not indexed yet: ranked there by words alone.")


def test_answer_is_lexical_with_a_note_when_the_model_answers_another_dimension(pets: Engine) -> None:
    pets.embedder.embed_queries = lambda texts: [[1.0, 0.0] for _ in texts]  # type: ignore[method-assign]

    answer = _search(pets, "list pets")

    assert _paths(answer)[0] == "/things/0"
    assert answer.ranking == "lexical"
    assert "dimension" in str(answer.note)


def test_query_is_embedded_again_when_the_model_answered_another_dimension(
    pets: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    searcher = _searcher(pets)
    request = SearchRequest(q="list all pets, then create a pet")
    with monkeypatch.context() as once:
        once.setattr(pets.embedder, "embed_queries", lambda texts: [[1.0, 0.0] for _ in texts])
        searcher.search(SearchRequest(q="create a pet"))
        assert searcher.search(request).ranking == "lexical"

    assert searcher.search(request).ranking == "hybrid"


def test_ranking_is_lexical_when_nothing_that_passes_is_indexed(pets: Engine) -> None:
    pets.store("library", library())

    shelf = _search(pets, "add a title", ranking="semantic", tag="Shelf")
    assert (shelf.ranking, _ids(shelf)[0]) == ("lexical", "addBook")
    assert shelf.note == "1 spec is not indexed yet: ranked there by words alone."
    assert _search(pets, "add a title", ranking="semantic").ranking == "semantic"
    assert _search(pets, "add a title", ranking="semantic", tag="none").ranking == "semantic"


def test_note_names_what_is_not_there_when_it_was_asked_for(pets: Engine) -> None:
    answer = _search(pets, "pet", catalogs=("catalog", "nope"), specs=("pets", *"uvwxyz"))
    assert (
        answer.note
        == "There is nothing to search in catalog 'nope', spec 'u', spec 'v', spec 'w', spec 'x' and 2 others."
    )
    assert len(answer.operations) == len(_PETS)
    assert _search(pets, "pet", catalogs=("catalog",), specs=("pets",)).note is None
    assert _search(pets, "pet", catalogs=("nope",)).note == "There is nothing to search in catalog 'nope'."


def test_method_is_found_when_it_is_no_usual_one(pets: Engine) -> None:
    paths = {"/things/0": {"additionalOperations": {"pUrge": {"summary": "Drop the pages of a pet"}}}}
    pets.store("caches", json.dumps({"openapi": "3.2.0", "info": {"title": "Caches"}, "paths": paths}).encode())

    assert _paths(_search(pets, "pet", method="purge")) == ["/things/0"]


def test_only_what_fits_is_found_when_filters_are_given(pets: Engine) -> None:
    pets.upload("pets", _PETS, catalog_id="other")

    assert {operation.catalog_id for operation in _search(pets, "pet").operations} == {"catalog", "other"}
    assert {operation.catalog_id for operation in _search(pets, "pet", catalogs=("other",)).operations} == {"other"}
    assert _search(pets, "pet", specs=("nothing",)).operations == []
    assert _search(pets, "pet", method="POST").operations == []
    assert _search(pets, "pet", tag="none").operations == []
    assert len(_search(pets, "pet", limit=1).operations) == 1


@pytest.mark.parametrize(
    "q", ["", "   ", "the of and", "'; DROP TABLE specs; --", "a & | ! <-> (", "ж" * 5000, "\u0007"]
)
def test_answer_is_clean_when_the_query_is_odd(pets: Engine, q: str) -> None:
    for ranking in ("hybrid", "semantic", "lexical"):
        answer = _search(pets, q, ranking=ranking)
        assert answer.ranking == ranking


def test_order_is_the_same_when_scores_are_equal(engine: Engine) -> None:
    engine.upload("twins", ["same words"] * 20)

    answers = [_paths(_search(engine, "same words", ranking="lexical", limit=20)) for _ in range(3)]

    assert answers[0] == [f"/things/{number}" for number in range(20)]
    assert answers[0] == answers[1] == answers[2]


class _ByChance(ScriptedEmbedder):
    """Embeds so that the nearness of two texts tells them."""

    def embed_queries(self, texts: Sequence[str]) -> list[Vector]:
        return [_unit([byte - 127.5 for byte in hashlib.sha256(text.encode()).digest()[:8]]) for text in texts]


def test_readers_see_one_revision_whole_when_publications_happen_meanwhile(engine: Engine) -> None:
    """Each reader holds segments and vectors; the scores tell which vectors it used, too."""
    engine.embedder = _ByChance()
    kinds = ("old", *(f"new{number}" for number in range(6)))
    (query,) = engine.embedder.embed_queries(["number"])
    cosines = {
        operation.summary: max(0.0, float(np.dot(query, engine.embedder.embed_queries([operation.text])[0])))
        for kind in kinds
        for operation in describe(document(things(12, kind))).operations
    }
    engine.job_id("pets", things(12, kinds[0]))
    engine.worker().handle()
    stop = threading.Event()
    mixtures: list[SearchAnswer] = []
    seen: list[Counter[str]] = [Counter(), Counter()]

    def hammer(answers: Counter[str]) -> None:
        reader = Engine(engine.settings.database_url.get_secret_value())  # type: ignore[union-attr]
        reader.embedder = engine.embedder
        searcher = _searcher(reader)
        while not stop.is_set():
            answer = searcher.search(SearchRequest(q="number", ranking="semantic", limit=50))
            found = {operation.summary: operation.score for operation in answer.operations}
            kind = answer.operations[0].summary.split()[0]
            if found != pytest.approx({summary: cosines[summary] for summary in things(12, kind)}, abs=1e-5):
                mixtures.append(answer)
            answers[kind] += 1
        reader.close()

    readers = [threading.Thread(target=hammer, args=[answers]) for answers in seen]
    for reader in readers:
        reader.start()
    try:
        for kind in kinds[1:]:
            engine.job_id("pets", things(12, kind))
            engine.embedder.seconds_a_call = 0.02
            assert engine.worker().outcomes() == ["published"]
            # From the third search on vectors are held.
            wait_until(lambda: all(answers[kind] > 3 for answers in seen))  # noqa: B023 - waited for at once
    finally:
        stop.set()
        for reader in readers:
            reader.join()

    assert mixtures == []
    assert all({"old", *kinds[1:]} <= answers.keys() for answers in seen)


def test_old_revision_answers_when_the_new_one_is_being_embedded(engine: Engine) -> None:
    engine.job_id("pets", ["List all pets"])
    engine.worker().handle()
    engine.job_id("pets", ["Sell a car", "Buy a car"])
    seen: list[list[str]] = []

    def look(texts: Sequence[str]) -> None:
        seen.append([operation.summary for operation in _search(engine, "car pets").operations])

    engine.embedder.script = look
    engine.worker().handle()

    assert all(summaries == ["List all pets"] for summaries in seen)
    assert _search(engine, "sell", ranking="lexical").operations[0].summary == "Sell a car"


def test_warm_search_sees_the_new_document_when_a_restored_database_gave_its_number_again(engine: Engine) -> None:
    searcher, request = _searcher(engine), SearchRequest(q="sell a car")
    engine.upload("cars", ["List pets"])
    engine.upload("cars", ["Sell a car", "Buy a car", "Wash a car"])
    engine.worker().handle()
    for _ in range(3):
        assert len(searcher.search(request).operations) == 3
    engine.sql("DELETE FROM jobs")
    engine.sql("UPDATE specs SET current_revision = 1, published_revision = NULL, published_model_id = NULL")
    for table in ("revisions", "stored_operations", "segments"):
        engine.sql(f"DELETE FROM {table} WHERE revision > 1")

    engine.upload("cars", ["Sell a bicycle", "Walk the dog"])
    engine.worker().handle()

    assert {found.summary for found in searcher.search(request).operations} == {"Sell a bicycle", "Walk the dog"}


# What search says of each operation, in a document whose operations need each other.


class WordEmbedder(ScriptedEmbedder):
    """Embeds by the words, so that texts with words in common are near."""

    def __init__(self) -> None:
        super().__init__(max_texts=50)

    def embed_queries(self, texts: Sequence[str]) -> list[Vector]:
        return [_unit(vector_of(text)) for text in texts]


def _unit(vector: list[float]) -> Vector:
    length = float(np.linalg.norm(vector))
    return [value / length for value in vector]


@pytest.fixture
def books(engine: Engine) -> Engine:
    engine.embedder = WordEmbedder()
    engine.store("library", library())
    engine.worker().handle()
    return engine


def _ids(answer: SearchAnswer) -> list[str]:
    return [operation.operation_id for operation in answer.operations]


def test_producer_is_named_when_the_graph_brings_it(books: Engine) -> None:
    found = {
        operation.operation_id: operation for operation in _search(books, "throw away", ranking="hybrid").operations
    }

    assert found["listBooks"].needed_by == "DELETE /books/{bookId}"
    assert found["removeBook"].needed_by is None
    without = _search(books, "throw away", without=("graph",))
    assert all(operation.needed_by is None for operation in without.operations)


def test_needs_are_found_in_each_copy_when_the_catalog_was_cloned_often(books: Engine) -> None:
    alone = [hit.operation_id for hit in _search(books, "throw away", limit=50).operations]
    for number in range(graph.BEST + 5):
        with books.database.transaction() as connection:
            clone_catalog(
                connection, "catalog", books.embedder.identity, id=f"c{number}", name=f"{number}", version="1"
            )

    found = _search(books, "throw away", limit=500).operations

    assert list(dict.fromkeys(hit.operation_id for hit in found)) == alone
    brought = [hit for hit in found if hit.operation_id == "listBooks"]
    assert len(brought) == graph.BEST + 6
    assert {hit.needed_by for hit in brought} == {"DELETE /books/{bookId}"}


def test_clause_is_named_when_a_query_has_several(books: Engine) -> None:
    q = "Charge somebody for a delay, then add a title"
    answer = _search(books, q)

    clauses = {operation.operation_id: operation.clause for operation in answer.operations}
    assert set(_ids(answer)[:2]) == {"fineMember", "addBook"}
    assert (clauses["fineMember"], clauses["addBook"]) == ("Charge somebody for a delay", "add a title")
    assert all(operation.clause is None for operation in _search(books, q, without=("clauses",)).operations)


def test_words_of_the_query_are_marked(books: Engine) -> None:
    found = _search(books, "listing titles", ranking="lexical").operations[0]

    marked = {part.field: [part.text[start:end] for start, end in part.matches] for part in found.highlights}
    assert found.operation_id == "listBooks"
    assert marked == {"summary": ["List", "titles"], "operation_id": ["list"]}


@pytest.mark.parametrize("ranking", ["hybrid", "semantic", "lexical"])
def test_only_deprecated_ones_or_only_others_are_found_when_asked_for(books: Engine, ranking: Any) -> None:
    q = "throw away or list titles"

    assert _ids(_search(books, q, ranking=ranking, deprecated=True)) == ["removeBook"]
    others = _ids(_search(books, q, ranking=ranking, deprecated=False))
    assert "listBooks" in others
    assert "removeBook" not in others


@pytest.mark.parametrize("part", PARTS)
def test_search_answers_when_a_part_is_left_out(books: Engine, part: Any) -> None:
    answer = _search(books, "Add a title, then charge somebody for a delay", without=(part,))

    assert (answer.ranking, answer.note) == ("hybrid", None)
    assert {"addBook", "fineMember"} <= set(_ids(answer)[:3])
    assert part == "semantic" or all("semantic" in operation.matched for operation in answer.operations)
    assert part != "semantic" or all("semantic" not in operation.matched for operation in answer.operations)
    assert part != "lexical" or all("lexical" not in operation.matched for operation in answer.operations)


@pytest.mark.parametrize("ranking", ["lexical", "semantic"])
def test_one_channel_is_whole_when_parts_of_hybrid_are_left_out(books: Engine, ranking: Any) -> None:
    q = "charge somebody for a delay"

    assert _search(books, q, ranking=ranking, without=PARTS) == _search(books, q, ranking=ranking)


@pytest.mark.parametrize("ranking", ["hybrid", "semantic", "lexical"])
@pytest.mark.parametrize("limit", [1, 3, 7])
def test_pages_are_the_whole_answer_when_put_together(engine: Engine, ranking: Any, limit: int) -> None:
    engine.job_id("pets", [f"{verb} pets" for verb in ("List", "Show", "list", "Count", "List")] * 4)
    engine.worker().handle()
    whole = _search(engine, "list pets", ranking=ranking, limit=500)

    pages = [_search(engine, "list pets", ranking=ranking, limit=limit, start=start) for start in range(0, 20, limit)]

    assert [operation for page in pages for operation in page.operations] == whole.operations
    assert len(whole.operations) == 20
    assert [page.has_more for page in pages] == [True] * (len(pages) - 1) + [False]
    assert _search(engine, "list pets", ranking=ranking, start=20).operations == []


def test_twins_are_both_found_when_two_catalogs_have_the_same_text(books: Engine) -> None:
    books.store("library", library(), catalog_id="other")

    answer = _search(books, "charge somebody for a delay")

    best = [(found.catalog_id, found.operation_id, found.score) for found in answer.operations[:2]]
    assert [row[:2] for row in best] == [("catalog", "fineMember"), ("other", "fineMember")]
    assert best[0][2] == best[1][2]


@pytest.mark.parametrize("ranking", ["hybrid", "semantic"])
def test_words_rank_what_is_not_indexed_when_other_specs_are(books: Engine, ranking: Any) -> None:
    books.upload("garage", ["Sell a used car", "Wash the floor"])

    answer = _search(books, "sell a used car", ranking=ranking)
    alone = _search(books, "sell a used car", ranking=ranking, specs=("garage",))

    (wanted,) = (found for found in answer.operations if found.summary == "Sell a used car")
    assert wanted.score == answer.operations[0].score  # as near as the nearest
    assert wanted.matched == ["lexical"]
    assert (answer.ranking, answer.note) == (ranking, "1 spec is not indexed yet: ranked there by words alone.")
    assert alone.ranking == "lexical"
    assert [found.summary for found in alone.operations] == ["Sell a used car"]


def test_words_rank_all_when_a_filter_leaves_only_what_is_not_indexed(books: Engine) -> None:
    books.upload("garage", ["Sell a used car", "Wash the floor"])
    books.sql("UPDATE stored_operations SET tags = '{Vehicles}' WHERE path LIKE '/things/%%'")
    books.sql("DELETE FROM segments WHERE spec_id = 2")

    answer = _search(books, "sell a used car", ranking="semantic", tag="Vehicles")

    assert [(found.summary, found.matched) for found in answer.operations] == [("Sell a used car", ["lexical"])]


@pytest.mark.parametrize(
    "q",
    [
        "zzz qqq",
        "x" * 1_000,
        ".,;!?" * 200,
        "and then delete " * 60,
        "Покажи все книги и удали одну",
        "列出所有书籍",
        "' OR 1=1; DROP TABLE specs; --",
        "%(q)s {} $1 \\ \x01\x1b[0m",
        "id " * 300,
        "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
    ],
)
@pytest.mark.parametrize("ranking", ["hybrid", "semantic", "lexical"])
def test_answer_is_clean_when_the_query_is_hostile(books: Engine, q: str, ranking: Any) -> None:
    answer = _search(books, q, ranking=ranking)

    assert answer.ranking == ranking
    assert answer.note is None
    assert all(0 <= found.score <= 1 for found in answer.operations)
    assert answer == _search(books, q, ranking=ranking)


def test_nothing_is_found_when_no_word_is_said_and_words_decide(books: Engine) -> None:
    answers = [_search(books, "zzz qqq", without=("semantic",)), _search(books, "zzz qqq", ranking="lexical")]

    assert [answer.operations for answer in answers] == [[], []]


# The provider away, slow or busy.


@pytest.fixture
def provider() -> Iterator[OllamaServer]:
    with OllamaServer() as server:
        yield server


def _asking(engine: Engine, provider: OllamaServer, q: str, ranking: Any = "hybrid") -> SearchAnswer:
    """Search with an embedder of its own that has half a second, and does not wait for a call that hangs."""
    embedder = OllamaEmbedder(url=provider.url, model=MODEL, query_timeout=0.5)
    try:
        searcher = Searcher(engine.database, lambda: embedder, cache_bytes=1_000_000)
        answer = searcher.search(SearchRequest(q=q, ranking=ranking))
    finally:
        embedder.close()
    assert not any(call.failure and call.failure.kind == "hang" for call in provider.calls)  # it hangs still
    return answer


@pytest.mark.parametrize("ranking", ["hybrid", "semantic"])
@pytest.mark.parametrize(
    "failure", [Failure("hang"), Failure("hang", headers_first=True), Failure("status"), Failure("nan")]
)
def test_clauses_hint_and_graph_still_work_when_the_provider_does_not(
    books: Engine, provider: OllamaServer, failure: Failure, ranking: Any
) -> None:
    provider.outage = failure

    answer = _asking(books, provider, "Throw it away. Charge somebody for a delay.", ranking)

    found = {operation.operation_id: operation for operation in answer.operations}
    assert answer.ranking == "lexical"
    assert str(answer.note).startswith("Ranked by words alone: ")
    assert "busy" not in str(answer.note)
    assert {"removeBook", "fineMember"} <= set(_ids(answer)[:4])
    assert (found["removeBook"].clause, found["fineMember"].clause) == ("Throw it away", "Charge somebody for a delay")
    assert found["listBooks"].needed_by == "DELETE /books/{bookId}"
    assert found["listMembers"].needed_by == "POST /members/{memberId}/fines"


def test_note_says_that_queries_wait_when_the_provider_is_slow_and_jobs_run(
    books: Engine, provider: OllamaServer
) -> None:
    provider.outage = Failure("hang")
    answers: list[SearchAnswer] = []
    books.job_id("more", ["Another text"])
    books.embedder.script = lambda texts: answers.append(_asking(books, provider, "list titles"))
    books.worker().handle()

    (answer,) = answers
    assert answer.ranking == "lexical"
    assert str(answer.note).endswith("It is busy with the texts of jobs, and queries wait behind them.")


def test_vectors_of_a_query_are_asked_for_once_when_it_is_repeated(books: Engine) -> None:
    asked: list[list[str]] = []
    embed_queries = books.embedder.embed_queries

    def counted(texts: Sequence[str]) -> list[Vector]:
        asked.append(list(texts))
        return embed_queries(texts)

    books.embedder.embed_queries = counted  # type: ignore[method-assign]
    searcher = _searcher(books)
    for _ in range(3):
        searcher.search(SearchRequest(q="List the titles, then add a title"))

    assert asked == [["List the titles, then add a title", "List the titles", "add a title"]]


# Many operations: candidates, and the nearest vectors by an index.


@pytest.fixture
def shop(engine: Engine) -> Engine:
    """A scope that is large where the limits are low."""
    engine.embedder = WordEmbedder()
    nouns = ("user", "team", "invoice", "order", "ticket", "file", "folder", "payment")
    said = [f"{verb} the {noun}s of one {owner}" for owner in nouns for noun in nouns for verb in ("List", "Remove")]
    engine.job_id("shop", said)
    engine.worker().handle()
    return engine


_IN_TWO_WAYS = ["list the invoices of a team", "Remove a ticket of the user, then list the files of a folder"]


def _rank_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opdex.ranking.ranker.ALL_CANDIDATES", 60)
    monkeypatch.setattr("opdex.ranking.ranker.DEPTH", 30)


@pytest.mark.parametrize("ranking", ["hybrid", "semantic", "lexical"])
@pytest.mark.parametrize("q", _IN_TWO_WAYS)
def test_best_are_the_same_when_only_candidates_are_ranked(
    shop: Engine, monkeypatch: pytest.MonkeyPatch, q: str, ranking: Any
) -> None:
    everything = _search(shop, q, ranking=ranking)
    _rank_few(monkeypatch)

    assert _paths(_search(shop, q, ranking=ranking)) == _paths(everything)


@pytest.mark.parametrize("ranking", ["hybrid", "semantic", "lexical"])
@pytest.mark.parametrize("q", _IN_TWO_WAYS)
def test_best_are_the_same_when_candidates_are_found_by_index(
    shop: Engine, monkeypatch: pytest.MonkeyPatch, q: str, ranking: Any
) -> None:
    everything = _search(shop, q, ranking=ranking)
    _rank_few(monkeypatch)
    assert index_vectors(shop.database, seconds=30, least=1).made == 1
    monkeypatch.setattr("opdex.search.similarities._EXACT_IN_NEAREST", 100.0)
    asked = Mock(wraps=StoredSimilarities._near)
    monkeypatch.setattr(StoredSimilarities, "_near", lambda *arguments: asked(*arguments))

    assert _paths(_search(shop, q, ranking=ranking)) == _paths(everything)
    assert asked.called == (ranking != "lexical")


@pytest.mark.parametrize("ranking", ["hybrid", "semantic", "lexical"])
@pytest.mark.parametrize("has_index", [False, True], ids=["exact", "by_index"])
def test_pages_lead_to_the_end_that_a_note_tells_when_only_candidates_are_ranked(
    shop: Engine, monkeypatch: pytest.MonkeyPatch, ranking: Any, has_index: bool
) -> None:
    q = "list the invoices of a team"
    everything = _search(shop, q, ranking=ranking, limit=500).operations
    for name, value in (("ALL_CANDIDATES", 60), ("DEPTH", 10), ("MOST_RANKED", 40)):
        monkeypatch.setattr(f"opdex.ranking.ranker.{name}", value)
    if has_index:
        assert index_vectors(shop.database, seconds=30, least=1).made == 1
        monkeypatch.setattr("opdex.search.similarities._EXACT_IN_NEAREST", 100.0)

    whole = _search(shop, q, ranking=ranking, limit=500)
    pages = [_search(shop, q, ranking=ranking, limit=7, start=start) for start in range(0, 40, 7)]

    paths = _paths(whole)
    assert len(set(paths)) == len(paths) == 40
    assert [path for page in pages for path in _paths(page)] == paths
    scores = [hit.score for hit in whole.operations]
    assert scores == sorted(scores, reverse=True)
    # Of equal ones an index finds any.
    assert has_index or paths[:10] == [hit.path for hit in everything[:10]]
    assert ranking == "hybrid" or scores == pytest.approx([hit.score for hit in everything[:40]], abs=1e-5)
    note = "Only the best 40 of 128 operations are ranked: narrow the search."
    assert [(page.has_more, page.note) for page in pages] == [(True, None)] * 5 + [(False, note)]
    assert (whole.has_more, whole.note) == (False, note)
    beyond = _search(shop, q, ranking=ranking, start=40)
    assert (beyond.operations, beyond.has_more, beyond.note) == ([], False, note)


def test_no_note_tells_of_an_end_when_all_that_was_found_is_shown(
    shop: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("ALL_CANDIDATES", 60), ("DEPTH", 5), ("MOST_RANKED", 40)):
        monkeypatch.setattr(f"opdex.ranking.ranker.{name}", value)

    answer = _search(shop, "invoices of one invoice", ranking="lexical", limit=500)
    assert (answer.has_more, answer.note) == (
        False,
        "Only the best 40 of 128 operations are ranked: narrow the search.",
    )
    answer = _search(shop, "tickets", ranking="lexical", limit=500)
    assert (len(answer.operations), answer.has_more, answer.note) == (30, False, None)


def test_first_ones_come_first_when_more_are_alike_than_are_ranked(engine: Engine) -> None:
    engine.upload("pets", [f"List pets of kind k{number}" for number in range(4001)])

    first = _search(engine, "list pets", ranking="lexical", limit=500)
    second = _search(engine, "list pets", ranking="lexical", limit=500, start=500)

    assert _paths(first) + _paths(second) == [f"/things/{number}" for number in range(1000)]
    assert (first.has_more, first.note) == (True, None)
    end = "Only the best 1,000 of 4,001 operations are ranked: narrow the search."
    assert (second.has_more, second.note) == (False, end)


def _similarities(
    engine: Engine, connection: Any, passing: NDArray[np.bool_], texts: list[str], held: HeldVectors | None = None
) -> StoredSimilarities:
    model = find_model(connection, engine.embedder.identity)
    assert model is not None
    (octets,) = read_segments(connection, [(1, 1)]).values()
    scope = Scope([Segment(octets)])
    vectors = engine.embedder.embed_queries(texts)
    published = [Publication(model.id, Edition((1, 1), ""), "1")]
    return StoredSimilarities(connection, scope, published, passing, model.id, vectors, held or HeldVectors(0))


@pytest.mark.parametrize("has_index", [False, True])
@pytest.mark.parametrize(
    "statistics", ["UPDATE pg_class SET reltuples = -1 WHERE relname = 'vectors'", "ANALYZE vectors"]
)
@pytest.mark.parametrize("keep", ["all", "farthest"])
def test_nearest_by_index_are_the_nearest_by_a_look_at_each(
    shop: Engine, monkeypatch: pytest.MonkeyPatch, has_index: bool, statistics: str, keep: str
) -> None:
    if has_index:
        assert index_vectors(shop.database, seconds=30, least=1).made == 1
    shop.sql(statistics)
    texts = ["list the invoices of one team", "remove the files of one folder"]
    with shop.database.transaction() as connection:
        everything = np.ones(128, bool)
        cosines = _similarities(shop, connection, everything, texts).cosines(np.arange(128))
        # Of a filter that keeps what is far from the query the index's nearest are none.
        passing = everything if keep == "all" else cosines.max(axis=1) <= np.median(cosines.max(axis=1))
        depth = 8
        monkeypatch.setattr("opdex.search.similarities._EXACT_IN_NEAREST", 100.0)
        asked = Mock(wraps=StoredSimilarities._near)
        monkeypatch.setattr(StoredSimilarities, "_near", lambda *arguments: asked(*arguments))
        found = _similarities(shop, connection, passing, texts).nearest(depth)

    assert asked.called == has_index
    assert passing[found].all()
    for column in cosines.T:
        least = np.sort(column[passing])[-depth]
        assert set(np.flatnonzero(passing & (column > least + 1e-3))) <= set(found.tolist())
        assert (column[found] >= least - 1e-3).sum() >= depth


def test_nothing_is_nearest_when_nothing_passes(shop: Engine) -> None:
    with shop.database.transaction() as connection:
        assert _similarities(shop, connection, np.zeros(128, bool), ["list"]).nearest(5).tolist() == []


_ASKED = ["list the invoices of one team", "remove a ticket of the user, then list the files of a folder"]


@pytest.mark.parametrize("ranking", ["hybrid", "semantic"])
def test_answers_are_the_same_when_vectors_are_held(shop: Engine, ranking: Any) -> None:
    shop.upload("waiting", ["List the invoices of nobody"])
    shop.upload("empty", [])
    for name in ("clone", "other-clone"):
        with shop.database.transaction() as connection:
            clone_catalog(connection, "catalog", shop.embedder.identity, id=name, name=name, version="1")
    searcher = _searcher(shop)

    for q in _ASKED:
        request = SearchRequest(q=q, ranking=ranking, limit=50)
        expected = _search(shop, q, ranking=ranking, limit=50).operations
        for _ in range(3):
            found = searcher.search(request).operations
            assert [(hit.catalog_id, hit.spec_name, hit.path) for hit in found] == [
                (hit.catalog_id, hit.spec_name, hit.path) for hit in expected
            ]
            assert [hit.score for hit in found] == pytest.approx([hit.score for hit in expected], abs=1e-5)


def test_vectors_are_not_asked_for_when_they_are_held(shop: Engine) -> None:
    searcher = _searcher(shop)
    before = [searcher.search(SearchRequest(q=_ASKED[0])) for _ in range(2)]
    shop.sql("DELETE FROM vectors")

    assert searcher.search(SearchRequest(q=_ASKED[0])).operations == before[1].operations


@pytest.mark.parametrize(("max_bytes", "most_read", "is_held"), [(0, 0, True), (-1, 0, False), (0, -1, False)])
def test_vectors_are_held_when_there_is_room_and_they_are_read_soon(
    shop: Engine, monkeypatch: pytest.MonkeyPatch, max_bytes: int, most_read: int, is_held: bool
) -> None:
    everything, size = np.ones(128, bool), 128 * 4 * len(vector_of(""))
    monkeypatch.setattr("opdex.search.similarities._MOST_READ", size + most_read)
    held = HeldVectors(size + max_bytes)

    def cosines() -> NDArray[np.float32]:
        with shop.database.transaction() as connection:
            return _similarities(shop, connection, everything, _ASKED, held).cosines(np.arange(128))

    before = [cosines() for _ in range(3)]
    shop.sql("DELETE FROM vectors")
    after = cosines()

    assert np.allclose(before[0], before[2], atol=1e-6)
    assert np.array_equal(after, before[2]) if is_held else np.isnan(after).all()


def test_new_vectors_are_used_when_all_are_made_anew(books: Engine) -> None:
    searcher = _searcher(books)
    request = SearchRequest(q="charge somebody for a delay", ranking="semantic")
    before = [searcher.search(request) for _ in range(3)]
    assert _ids(before[2])[0] == "fineMember"

    class Backwards(WordEmbedder):
        def embed(self, texts: Sequence[str], timeout: float) -> list[Vector]:
            return [[-value for value in vector] for vector in super().embed(texts, timeout)]

    books.transact(lambda connection: reembed_catalog(connection, "catalog"))
    assert books.worker(Backwards()).outcomes() == ["published"]

    assert [_ids(searcher.search(request))[-1] for _ in range(3)] == ["fineMember"] * 3
