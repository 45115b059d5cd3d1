"""The whole ranking: against the formulas, with parts left out, with vectors missing, and from candidates alone."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from opdex.openapi.description import Operation
from opdex.ranking.parts import PARTS, Part
from opdex.ranking.ranker import Query, Ranked, rank
from opdex.ranking.scope import Scope
from tests.ollama_server import vector_of
from tests.unit.ranking import naive
from tests.unit.ranking.documents import documents, few, operation, queries, scope


class Cosines:
    """Cosines given by hand; None where an operation has no vector."""

    def __init__(self, rows: Sequence[Sequence[float | None]]) -> None:
        self._rows = np.array([[np.nan if value is None else value for value in row] for row in rows], np.float32)

    def nearest(self, depth: int) -> NDArray[np.intp]:
        known = np.nan_to_num(self._rows, nan=-2.0)
        return np.unique(np.argsort(-known, axis=0, kind="stable")[:depth])

    def cosines(self, numbers: NDArray[np.intp]) -> NDArray[np.float32]:
        return self._rows[numbers]


def ranked(q: str, found: Scope, cosines: Cosines | None = None, **options: Any) -> list[Ranked]:
    """Rank all operations of the scope."""
    parts = options.setdefault("parts", PARTS)
    return rank(Query.of(q, parts), found, np.ones(found.count, bool), cosines, **options)


def order(hits: Sequence[Ranked]) -> list[int]:
    return [hit.number for hit in hits]


_LIBRARY = [
    operation("GET /books", "List all books", operation_id="listBooks"),
    operation("POST /books", "Add a book", operation_id="addBook"),
    operation("GET /books/{bookId}", "Read one", operation_id="getBook"),
    operation("DELETE /books/{bookId}", "Throw it away", operation_id="removeBook"),
    operation("GET /members", "List the members", operation_id="listMembers"),
    operation("POST /members/{memberId}/fines", "Fine somebody", operation_id="fineMember"),
]


def test_words_find_it_when_there_are_no_vectors() -> None:
    hits = ranked("fine a member", scope(_LIBRARY))
    assert hits[0].number == 5
    assert hits[0].channels == ("lexical",)
    assert {hit.number for hit in hits} == {4, 5}


def test_producer_is_found_when_the_graph_brings_it() -> None:
    hits = {hit.number: hit for hit in ranked("throw away", scope(_LIBRARY))}
    assert hits.keys() == {3, 0}
    assert (hits[0].needed_by, hits[3].needed_by) == (3, None)
    assert ranked("throw away", scope(_LIBRARY), parts=[part for part in PARTS if part != "graph"])[1:] == []


def test_each_clause_has_its_best_when_a_query_has_several() -> None:
    hits = ranked("Fine a member, then add a book", scope(_LIBRARY))
    assert {order(hits)[0], order(hits)[1]} == {1, 5}
    assert {hit.number: hit.clause for hit in hits if hit.number in (1, 5)} == {5: 1, 1: 2}


def test_clause_is_the_one_that_ranked_it_when_many_are_near_another() -> None:
    twins = [operation(f"GET /{name}", text=name) for name in "abcd"]
    near = Cosines([[0.5, 0.8, 0.7], *([0.5, 0.8, 0.1] for _ in "bcd")])
    hits = ranked("zip it up, then get qqq", scope(twins), near)
    assert (hits[0].number, hits[0].clause) == (0, 2)


def test_method_decides_when_words_do_not() -> None:
    twins = [operation("GET /pets", "pets", text="a"), operation("DELETE /pets", "pets", text="b")]
    assert order(ranked("delete pets", scope(twins))) == [1, 0]
    assert order(ranked("delete pets", scope(twins), parts=("lexical", "names", "clauses", "graph"))) == [0, 1]


@few
@given(documents(min_size=1), queries, st.randoms(use_true_random=False))
def test_scores_are_those_of_the_formula(operations: list[Operation], texts: list[str], chance: Any) -> None:
    q = ". ".join(texts)
    query = Query.of(q)
    cosines = [[chance.uniform(-1, 1) for _ in query.texts] for _ in operations]
    said = naive.weights("", operations)
    shares = np.zeros((len(operations), len(query.texts)))
    for column, text in enumerate(query.texts):
        words, names = naive.bm25(text, said), naive.name_match(text, operations, said, said)
        best = max(words) or 1.0
        shares[:, column] = [
            (cosine[column] / 0.05 + 5 * word / best + 2 * name) / 2
            for cosine, word, name in zip(cosines, words, names, strict=True)
        ]

    def softmax(odds: NDArray[np.float64]) -> NDArray[np.float64]:
        raised = np.exp(odds - odds.max(axis=0))
        return np.asarray(raised / raised.sum(axis=0))

    score = softmax(shares).sum(axis=1) + 1e-3 * softmax(shares / 4).mean(axis=1)
    hits = ranked(q, scope(operations), Cosines(cosines), parts=("lexical", "semantic", "names", "clauses"))
    found = {hit.number: hit.score for hit in hits}
    assert [found[number] for number in range(len(operations))] == pytest.approx(
        score / score.sum(), rel=0.02, abs=1e-4
    )


@few
@given(documents(min_size=1), queries, st.sets(st.sampled_from(PARTS)), st.booleans())
def test_order_is_by_score_whatever_parts_are_left_out(
    operations: list[Operation], texts: list[str], kept: set[Part], has_vectors: bool
) -> None:
    q = ", then list ".join(texts)
    parts = tuple(part for part in PARTS if part in kept)
    columns = len(Query.of(q, parts).texts)
    cosines = Cosines([[0.5 if place % 2 else None] * columns for place in range(len(operations))])
    hits = ranked(q, scope(operations), cosines if has_vectors else None, parts=parts)
    assert len(set(order(hits))) == len(hits)
    assert all(0 <= hit.score <= 1 for hit in hits)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert hits == ranked(q, scope(operations), cosines if has_vectors else None, parts=parts)
    assert hits[:2] == ranked(q, scope(operations), cosines if has_vectors else None, parts=parts, limit=2)


def test_channel_ranks_by_its_own_score_when_it_is_alone() -> None:
    found, cosines = scope(_LIBRARY), Cosines([[0.1], [0.9], [0.5], [-0.4], [0.2], [0.3]])
    semantic = ranked("list all books", found, cosines, parts=("semantic",))
    assert order(semantic)[:3] == [1, 2, 5]
    assert [hit.score for hit in semantic[:2]] == pytest.approx([0.9, 0.5])
    assert {hit.channels for hit in semantic} == {("semantic",)}
    lexical = ranked("list all books", found, cosines, parts=("lexical",))
    assert (lexical[0].number, lexical[0].score, lexical[0].channels) == (0, 1.0, ("lexical",))
    assert order(lexical) == order(ranked("list all books", found, None, parts=("lexical",)))


def test_negative_cosines_keep_their_order_when_meaning_is_alone() -> None:
    hits = ranked("x", scope(_LIBRARY[:3]), Cosines([[-0.9], [-0.1], [-0.5]]), parts=("semantic",))
    assert order(hits) == [1, 2, 0]
    assert all(hit.score == 0 for hit in hits)


@pytest.mark.parametrize("parts", [PARTS, ("semantic",)])
def test_words_stand_in_when_some_operations_have_no_vector(parts: tuple[Part, ...]) -> None:
    cosines = Cosines([[0.1], [0.2], [None], [0.1], [0.3], [None]])
    hits = {hit.number: hit for hit in ranked("fine somebody", scope(_LIBRARY), cosines, parts=parts)}
    assert hits[5].score == max(hit.score for hit in hits.values())
    assert hits[5].channels == ("lexical",)
    assert hits[2].channels == ()
    assert "semantic" in hits[0].channels


@pytest.mark.parametrize("parts", [PARTS, ("semantic",)])
def test_words_decide_when_no_operation_that_passes_has_a_vector(parts: tuple[Part, ...]) -> None:
    hits = ranked("fine somebody", scope(_LIBRARY), Cosines([[None]] * 6), parts=parts)
    assert hits[0].number == 5
    assert 0 not in order(hits)
    assert hits[0].channels == ("lexical",)


@pytest.mark.parametrize("q", ["", "the of", "\x00\x07", "'; DROP TABLE specs; --", "ж" * 5_000, ".,;!?" * 200])
def test_ranking_is_clean_when_the_query_says_nothing(q: str) -> None:
    found = scope(_LIBRARY)
    assert ranked(q, found) == []
    assert len(ranked(q, found, Cosines([[0.1]] * 6))) == 6
    assert ranked(q, scope()) == ranked(q, scope([])) == []


def test_nothing_is_found_when_nothing_passes() -> None:
    assert rank(Query.of("books"), scope(_LIBRARY), np.zeros(6, bool), None) == []


def test_query_with_an_id_passes_less_on() -> None:
    found = scope(_LIBRARY)
    with_id, without = (
        next(hit for hit in ranked(q, found) if hit.number == 0) for q in ("throw away 12345", "throw away")
    )
    assert with_id.score < without.score


def _catalog() -> list[Operation]:
    things = ("user", "team", "invoice", "order", "ticket", "file", "folder", "payment", "message", "channel")
    return [
        operation(
            f"{method} /{owner}s/{{{owner}Id}}/{thing}s", f"{verb} the {thing}s of one {owner}", text=f"{verb}{n}"
        )
        for n, (owner, thing) in enumerate((owner, thing) for owner in things for thing in things)
        for method, verb in (("GET", "List"), ("POST", "Create"), ("DELETE", "Remove"))
    ] + [operation(f"GET /{thing}s", f"List all {thing}s") for thing in things]


@pytest.mark.parametrize("has_vectors", [True, False])
@pytest.mark.parametrize(
    "q",
    ["list the invoices of a team", "Create a ticket for the user, then remove the files of a folder", "pay", "zzz"],
)
def test_best_are_the_same_when_only_candidates_are_ranked(
    monkeypatch: pytest.MonkeyPatch, q: str, has_vectors: bool
) -> None:
    found = scope(_catalog())
    asked = [np.array(vector_of(text)) for text in Query.of(q).texts]
    meant = [np.array(vector_of(one.summary)) for one in _catalog()]
    near = [[one @ text / np.linalg.norm(one) / np.linalg.norm(text) for text in asked] for one in meant]
    cosines = Cosines(near) if has_vectors else None
    everything = ranked(q, found, cosines)
    for name, value in (("ALL_CANDIDATES", 100), ("DEPTH", 50), ("MOST_RANKED", 90)):
        monkeypatch.setattr(f"opdex.ranking.ranker.{name}", value)
    candidates = ranked(q, found, cosines)
    assert len(candidates) == min(90, len(everything))
    assert order(candidates)[:10] == order(everything)[:10]
    assert [ranked(q, found, cosines, limit=limit) for limit in (7, 50, 51, 90, 500)] == [
        candidates[:limit] for limit in (7, 50, 51, 90, 500)
    ]


def test_filter_holds_when_only_candidates_are_ranked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opdex.ranking.ranker.ALL_CANDIDATES", 50)
    monkeypatch.setattr("opdex.ranking.ranker.DEPTH", 20)
    found = scope(_catalog())
    passing = found.passing("DELETE", None, None)
    hits = rank(Query.of("remove the invoices of a team"), found, passing, Cosines([[0.1]] * found.count))
    assert hits
    assert all(passing[hit.number] for hit in hits)


def test_match_is_named_when_an_operation_is_among_the_best_of_its_channel() -> None:
    found = scope(_catalog())
    near = [[0.9 - number / 1_000] for number in range(found.count)]
    hits = ranked("list the invoices of a team", found, Cosines(near))
    assert {hit.number for hit in hits if "semantic" in hit.channels} == set(range(50))
    assert 0 < sum("lexical" in hit.channels for hit in hits) < found.count / 2
