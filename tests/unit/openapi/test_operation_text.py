import hashlib

import pytest

from opdex.embedding.minilm import MiniLmEmbedder
from opdex.openapi import TEXT_SCHEME, hash_text
from opdex.openapi.operation_text import OperationText, compose_text, words

_PROSE = ("some words of an API, written out ", "说明文字", "a.b,c;d! ", "Überschrift für größere Dinge ")


def test_the_text_is_summary_description_path_and_operation_id() -> None:
    text, is_cut = compose_text(
        method="POST",
        path="/v1/userAccounts/{accountId}/close-now",
        operation_id="closeUserAccount",
        summary="Close an account.",
        description="Ends\n it. For good.",
    )
    assert text == "Close an account. Ends it. For good. create v1 user accounts close now. close user account"
    assert not is_cut


def test_empty_parts_are_left_out() -> None:
    assert compose_text("GET", "/", "", " ", "") == OperationText("get", is_cut=False)


def test_a_description_that_repeats_the_summary_is_left_out() -> None:
    text = compose_text("DELETE", "/pets", "", "Delete pets", "Delete  pets")
    assert text == OperationText("Delete pets. delete pets", is_cut=False)


def test_the_description_is_cut_to_600_characters() -> None:
    text = compose_text("HEAD", "/a", "", "", "x" * 700)
    assert text == OperationText("x" * 600 + ". head a", is_cut=True)


@pytest.mark.parametrize("prose", _PROSE)
def test_every_part_is_kept_in_some_length_when_all_are_too_long(prose: str) -> None:
    text, is_cut = compose_text(
        "POST", "/orders/items" * 100, "create_order_" * 100, prose * 100, "description " + prose * 100
    )
    assert is_cut
    assert text.startswith(prose.split()[0])
    assert ". description" in text
    assert ". create orders items" in text
    assert " create order create order" in text


@pytest.mark.parametrize("prose", _PROSE)
def test_the_model_reads_all_of_a_text_when_it_was_cut(prose: str) -> None:
    text, is_cut = compose_text("POST", "/orders/{id}", "createOrder", prose * 100, "description " + prose * 100)
    assert is_cut
    read, read_on = MiniLmEmbedder().embed([text, f"{text} zebra"], timeout=10)
    assert read != read_on  # what follows the text is read, so the text is


@pytest.mark.parametrize(
    ("method", "verb"),
    [("GET", "get"), ("POST", "create"), ("PUT", "update"), ("PATCH", "update"), ("DELETE", "delete"),
     ("OPTIONS", "options"), ("HEAD", "head"), ("TRACE", "trace")],
)  # fmt: skip
def test_each_method_has_its_verb(method: str, verb: str) -> None:
    assert compose_text(method, "/x", "", "", "").text == f"{verb} x"


def test_path_parameters_are_no_words_and_what_surrounds_them_is() -> None:
    assert compose_text("GET", "/users/{id}.json/{a}-of-{b}", "", "", "").text == "get users json of"


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("getHTTPResponse", ["get", "http", "response"]),
        ("list_all-things", ["list", "all", "things"]),
        ("oauth2Token", ["oauth2", "token"]),
        ("größeÄndern", ["größeändern"]),
        ("…", []),
    ],
)
def test_names_are_split_into_words(name: str, split: list[str]) -> None:
    assert words(name) == split


def test_the_hash_changes_with_text_and_scheme() -> None:
    assert hash_text("get x") == hashlib.sha256(f"{TEXT_SCHEME}\nget x".encode()).digest()
    assert len({hash_text("get x"), hash_text("get y"), hashlib.sha256(b"get x").digest()}) == 3
