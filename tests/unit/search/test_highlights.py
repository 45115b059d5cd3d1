import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opdex.catalog.models import ListedOperation
from opdex.ranking.words import STOP_WORDS, stem, words
from opdex.search.highlights import LOOKED_THROUGH, MAX_MATCHES, WINDOW, highlights, query_stems
from tests.unit.ranking.documents import few


def operation(**said: str) -> ListedOperation:
    fields = {"operation_id": "", "path": "/", "summary": "", "description": "", **said}
    return ListedOperation(method="GET", tags=[], deprecated=False, catalog_id="c", spec_name="s", **fields)


def marked(query: str, **said: str) -> dict[str, list[str]]:
    """Return the words that are marked in each field."""
    return {
        part.field: [part.text[start:end] for start, end in part.matches]
        for part in highlights(operation(**said), query_stems(query))
    }


def test_words_are_marked_in_every_form_and_field() -> None:
    assert marked(
        "listing a pet",
        summary="Lists the Pets",
        description="A pet.",
        path="/pets/{petId}",
        operation_id="listPETs",
    ) == {
        "summary": ["Lists", "Pets"],
        "description": ["pet"],
        "path": ["pets", "pet"],
        "operation_id": ["list"],
    }


@pytest.mark.parametrize(
    ("name", "query", "expected"),
    [
        ("listAPIKeys", "api keys", ["API", "Keys"]),
        ("HTTPServer", "server", ["Server"]),
        ("getUserByID", "user id", ["User", "ID"]),
        ("oauth2token", "oauth2token", ["oauth2token"]),
        ("v2Users", "users", ["Users"]),
        ("get_naïve_café", "naïve café", ["naïve", "café"]),
        ("Überblick", "überblick", ["Überblick"]),
        ("список_питомцев", "питомцев", ["питомцев"]),
        ("Cre\u0301er un client", "créer", ["Cre\u0301er"]),
        ("creer un café", "créer CAFE", ["creer", "café"]),
        ("查询库存和订单", "库存", ["库存"]),
        ("ユーザーを削除する", "削除", ["削除"]),
        ("주문 취소", "주문을 취소", ["주문", "취소"]),
        (
            "\uff43\uff41\uff4e\uff43\uff45\uff4c \uff4f\uff52\uff44\uff45\uff52",
            "order",
            ["\uff4f\uff52\uff44\uff45\uff52"],
        ),
    ],
)
def test_words_are_marked_where_names_are_split(name: str, query: str, expected: list[str]) -> None:
    assert marked(query, operation_id=name) == {"operation_id": expected}


def test_nothing_is_marked_when_the_field_says_other_words() -> None:
    assert marked("the pet of me", summary="The owner of it", path="/owners") == {}
    assert marked("", summary="List pets") == {}


def test_text_is_that_of_the_field_when_it_holds_markup() -> None:
    (part,) = highlights(operation(summary="<b>pets</b> & <i>more</i>"), query_stems("pets"))
    assert part.text == "<b>pets</b> & <i>more</i>"
    assert part.matches == [(3, 7)]


@pytest.mark.parametrize("before", ["word " * 100, "x" * 39 + "/" + "y" * 400 + "/", "字" * 500 + "-"])
def test_window_is_where_the_first_match_is_when_the_text_is_long(before: str) -> None:
    (part,) = highlights(operation(description=f"{before}pets and other pets" + " more" * 200), query_stems("pet"))
    assert len(part.text) <= WINDOW
    assert [part.text[start:end] for start, end in part.matches] == ["pets", "pets"]


@pytest.mark.parametrize(("before", "is_found"), [(LOOKED_THROUGH - 1, True), (LOOKED_THROUGH, False)])
def test_first_characters_are_looked_through_when_the_text_is_long(before: int, is_found: bool) -> None:
    text = "-" * before + "pets and other pets"
    assert marked("pet", description=text) == ({"description": ["pets", "pets"]} if is_found else {})


def test_marks_are_few_when_matches_are_many() -> None:
    (part,) = highlights(operation(description="pet " * 100), query_stems("pets"))
    assert len(part.matches) == MAX_MATCHES


_PIECES = st.sampled_from(
    ["aPet", "PETs", "the ", " ", "_", "é ", "A1b", "字", "字 ", "주문", "e\u0301t ", "<b>", "\x00"]
)
# Signs that stand for letters, as the one of kilograms, are found and not marked.
_CHARACTERS = st.characters().filter(lambda character: unicodedata.normalize("NFKD", character) == character)


@few
@given(st.text(_CHARACTERS, max_size=WINDOW) | st.lists(_PIECES, max_size=150).map("".join))
def test_marks_are_the_words_of_any_text(text: str) -> None:
    said = [word for word in words(text) if word not in STOP_WORDS]
    parts = highlights(operation(description=text), {stem(word) for word in said})
    assert bool(parts) == bool(said)
    for part in parts:
        found = [word for start, end in part.matches for word in words(part.text[start:end])]
        first = min(len(said), MAX_MATCHES) if len(text) <= WINDOW else 1
        assert found[:first] == said[:first]
        assert part.text in text
