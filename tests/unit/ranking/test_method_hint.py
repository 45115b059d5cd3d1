import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opdex.ranking.method_hint import method_hint, verb_of
from opdex.ranking.words import stem
from tests.unit.ranking.documents import few


def test_hint_is_the_log_of_the_odds_when_the_document_has_the_verb() -> None:
    hints = method_hint("search", {"GET": 3, "POST": 1}, {"GET": 6, "POST": 4})
    assert hints["GET"] == pytest.approx(math.log(((3 + 4 * 0.6) / 8) / 0.6))
    assert hints["POST"] == pytest.approx(math.log(((1 + 4 * 0.4) / 8) / 0.4))


@pytest.mark.parametrize(
    ("verb", "methods"),
    [
        ("get", {"GET"}),
        ("list", {"GET"}),
        ("create", {"POST"}),
        ("add", {"POST"}),
        ("update", {"PUT", "PATCH", "POST"}),
        ("delete", {"DELETE"}),
    ],
)
def test_general_verbs_speak_for_their_methods_when_the_document_does_not_know_them(
    verb: str, methods: set[str]
) -> None:
    everything = dict.fromkeys(["GET", "POST", "PUT", "PATCH", "DELETE"], 10)
    hints = method_hint(stem(verb), {}, everything)
    assert {method for method, hint in hints.items() if hint > 0} == methods


def test_hint_says_nothing_when_nobody_knows_the_verb() -> None:
    assert method_hint("zap", {}, {"GET": 3, "POST": 5}) == {"GET": pytest.approx(0), "POST": pytest.approx(0)}


def test_hint_is_finite_when_no_operation_has_the_method_any_more() -> None:
    assert method_hint("get", {"GET": 2}, {"GET": 2, "POST": 0})["POST"] == 0.0


_COUNTS = st.dictionaries(st.sampled_from(["GET", "POST", "PUT"]), st.integers(1, 50), min_size=1)


@few
@given(_COUNTS, st.sampled_from(["get", "updat", "zap"]), st.integers(0, 50))
def test_hinted_shares_are_shares_again(methods: dict[str, int], verb: str, begun: int) -> None:
    hints = method_hint(verb, dict.fromkeys(methods, begun), methods)
    total = sum(methods.values())
    assert sum(math.exp(hints[method]) * count / total for method, count in methods.items()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("text", "verb"),
    [
        ("please list pets", "list"),
        ("updating", None),
        ("updates", None),
        ("", None),
        ("how do I get rid of a subscription", "delet"),
        ("Get Rid Of it", "delet"),
        ("call off the meeting", "cancel"),
        ("set up a webhook", "creat"),
        ("which pets are available", "get"),
        ("and how many pets are in stock?", "get"),
        ("who may delete a pet", "delet"),
        ("whichever pets", None),
    ],
)
def test_verb_of_a_text_is_the_stem_of_its_first_verb(text: str, verb: str | None) -> None:
    assert verb_of(text) == verb


def test_verb_of_a_text_is_stemmed() -> None:
    assert verb_of("Create a pet") == stem("create") == "creat"
