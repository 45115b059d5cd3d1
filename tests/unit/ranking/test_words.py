from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opdex.ranking.words import MAX_WORD, bigrams, stem, stems, term_key
from tests.unit.ranking.documents import few


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("List all the pets", ["list", "all", "pet"]),
        ("listPetsByOwnerID", ["list", "pet", "owner", "id"]),
        ("HTTPServer_v2-users", ["http", "server", "v2", "user"]),
        ("of the and to", []),
        ("", []),
        ("\x00\x07;--", []),
        ("Список питомцев", ["список", "питомцев"]),
        ("查询API库存", ["查", "询", "api", "库", "存"]),
        ("ユーザーを削除", [*"ユーザーを削除"]),
        ("주문 취소", [*"주문취소"]),
        ("ｷｬﾝｾﾙ ﾃﾞｰﾀ", [*"キャンセルデータ"]),
        ("Créer un client", ["creer", "un", "client"]),
        ("Cre\u0301er ÜBERBLICK naïve", ["creer", "uberblick", "naiv"]),
        ("\uff43\uff41\uff4e\uff43\uff45\uff4c \uff4f\uff52\uff44\uff45\uff52", ["cancel", "order"]),
    ],
)
def test_stems_are_those_of_the_words_that_say_something(text: str, expected: list[str]) -> None:
    assert stems(text) == expected


def test_forms_of_a_word_have_one_stem() -> None:
    assert len({stem(word) for word in ("list", "lists", "listing", "listed")}) == 1


@few
@given(st.text(max_size=200))
def test_stems_are_bounded_for_any_text(text: str) -> None:
    assert all(0 < len(stemmed) <= MAX_WORD for stemmed in stems(text))


def test_stem_is_that_of_the_beginning_when_the_word_is_long() -> None:
    assert stem("x" * 10_000) == "x" * MAX_WORD


@few
@given(st.lists(st.sampled_from("abc")))
def test_bigrams_are_the_pairs_of_neighbours(terms: list[str]) -> None:
    assert bigrams(terms) == [f"{first} {second}" for first, second in pairwise(terms)]
    assert len(bigrams(terms)) == max(0, len(terms) - 1)


def test_key_of_a_term_never_changes() -> None:
    # Stored in segments: another key would be another scheme.
    assert term_key("pet") == 0x36473C531AB9AFEE
    assert term_key("") != term_key(" ")
