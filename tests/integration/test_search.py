"""Search over real rows: channels, filters, fusion, and what readers see while a spec is re-indexed."""

import json
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from opdex.errors import ConfigurationError, OpdexError, ProviderTimeout
from opdex.search import SearchAnswer, SearchRequest
from opdex.search.searcher import Searcher
from tests.integration.engine import Engine, ScriptedEmbedder, things

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


def test_readers_see_one_revision_whole_when_a_publication_happens_meanwhile(engine: Engine) -> None:
    engine.job_id("pets", things(12, "old"))
    engine.worker().handle()
    stop = threading.Event()
    mixtures: list[set[str]] = []
    seen: set[str] = set()

    def hammer() -> None:
        reader = Engine(engine.settings.database_url.get_secret_value())  # type: ignore[union-attr]
        while not stop.is_set():
            answer = _search(reader, "number", limit=50)
            kinds = {operation.summary.split()[0] for operation in answer.operations}
            seen.update(kinds)
            if len(kinds) != 1 or len(answer.operations) != 12:
                mixtures.append(kinds)
        reader.close()

    readers = [threading.Thread(target=hammer) for _ in range(2)]
    for reader in readers:
        reader.start()
    for kind in ("new", "newer", "newest"):
        engine.job_id("pets", things(12, kind))
        engine.embedder.seconds_a_call = 0.02
        assert engine.worker().outcomes() == ["published"]
    stop.set()
    for reader in readers:
        reader.join()

    assert mixtures == []
    assert {"old", "new"} <= seen


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
