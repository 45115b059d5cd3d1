import pytest

from opdex.errors import MalformedRequest
from opdex.http.cursors import decode_cursor, encode_cursor, id_position, name_position, page


def test_cursor_comes_back_as_the_position_it_was_made_of() -> None:
    assert decode_cursor(encode_cursor("crm-2_x"), name_position) == "crm-2_x"
    assert decode_cursor(encode_cursor(31), id_position) == 31
    assert decode_cursor(None, id_position) is None


@pytest.mark.parametrize("cursor", ["", "!", "äöü", "Y3Jt=", encode_cursor("A B"), encode_cursor("a\0"), "A" * 401])
def test_cursor_is_refused_when_it_was_not_given_by_this_service(cursor: str) -> None:
    with pytest.raises(MalformedRequest):
        decode_cursor(cursor, name_position)


@pytest.mark.parametrize("position", ["crm", "0", "-1", "1.5", str(2**63), "٣"])
def test_cursor_of_jobs_is_refused_when_it_is_no_id(position: str) -> None:
    with pytest.raises(MalformedRequest):
        decode_cursor(encode_cursor(position), id_position)


def test_page_has_a_next_cursor_only_where_more_was_found() -> None:
    assert page(["a", "b", "c"], 2, str) == (["a", "b"], encode_cursor("b"))
    assert page(["a", "b"], 2, str) == (["a", "b"], None)
    assert page([], 2, str) == ([], None)


def test_page_ends_early_where_one_answer_can_carry_no_more() -> None:
    long = ["\N{CJK UNIFIED IDEOGRAPH-4E2D}" * 700_000] * 5  # 2.1 MB each, in UTF-8
    shown, following = page(long, 5, lambda _: "here")
    assert (len(shown), following) == (2, encode_cursor("here"))


def test_page_has_one_item_at_least() -> None:
    assert page(["x" * 7_000_000, "y"], 2, len) == (["x" * 7_000_000], encode_cursor(7_000_000))
