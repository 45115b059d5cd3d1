import hashlib

import pytest

from opdex.openapi import TEXT_SCHEME, hash_text
from opdex.openapi.operation_text import compose_text, words


def test_the_text_is_summary_description_path_and_operation_id() -> None:
    text = compose_text(
        method="POST",
        path="/v1/userAccounts/{accountId}/close-now",
        operation_id="closeUserAccount",
        summary="Close an account.",
        description="Ends\n it. For good.",
    )
    assert text == "Close an account. Ends it. For good. create v1 user accounts close now. close user account"


def test_empty_parts_are_left_out() -> None:
    assert compose_text("GET", "/", "", " ", "") == "get"


def test_a_description_that_repeats_the_summary_is_left_out() -> None:
    assert compose_text("DELETE", "/pets", "", "Delete pets", "Delete  pets") == "Delete pets. delete pets"


def test_the_description_is_cut_to_600_characters() -> None:
    text = compose_text("HEAD", "/a", "", "", "x" * 700)
    assert text == "x" * 600 + ". head a"


@pytest.mark.parametrize(
    ("method", "verb"),
    [("GET", "get"), ("POST", "create"), ("PUT", "update"), ("PATCH", "update"), ("DELETE", "delete"),
     ("OPTIONS", "options"), ("HEAD", "head"), ("TRACE", "trace")],
)  # fmt: skip
def test_each_method_has_its_verb(method: str, verb: str) -> None:
    assert compose_text(method, "/x", "", "", "") == f"{verb} x"


def test_path_parameters_are_no_words_and_what_surrounds_them_is() -> None:
    assert compose_text("GET", "/users/{id}.json/{a}-of-{b}", "", "", "") == "get users json of"


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
