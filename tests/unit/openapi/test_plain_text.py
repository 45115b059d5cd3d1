import pytest

from opdex.openapi.plain_text import cut, on_one_line, quoted, storable


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("plain é 漢 😀\n\t", "plain é 漢 😀\n\t"),
        ("a\0b", "a\ufffdb"),
        ("\ud83d", "\ufffd"),
        ("\x1b[31m", "\ufffd[31m"),
    ],
)
def test_storable_replaces_what_must_not_be_stored(text: str, kept: str) -> None:
    assert storable(text) == kept


def test_on_one_line_makes_white_space_single() -> None:
    assert on_one_line(" a\n\n b\tc ") == "a b c"


def test_cut_keeps_at_most_the_limit() -> None:
    assert (cut("abc", 3), cut("ab cd", 3)) == ("abc", "ab")


def test_quoted_is_short_and_names_the_type_of_what_is_no_text() -> None:
    assert quoted("x" * 1000) == repr("x" * 60)
    assert quoted(["a"]) == "'list'"
