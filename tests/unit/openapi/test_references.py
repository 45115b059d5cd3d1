from typing import Any

import pytest

from opdex.errors import DocumentTooComplex
from opdex.openapi import Limits
from opdex.openapi.description import Findings
from opdex.openapi.document import survey
from opdex.openapi.limits import Budget
from opdex.openapi.references import References


def resolve(document: dict[str, Any], reference: str) -> Any:
    return References(document, Budget(Limits())).resolve({"$ref": reference})


@pytest.mark.parametrize(
    ("reference", "target"),
    [
        ("#/a/b", 1), ("#/paths/~1x~0y/get", 2), ("#/list/1", 4), ("#/a%20b", 5), ("#/chain", 1), ("#/to~1a/b", 1),
        ("#/detour/b", 1),
    ],
)  # fmt: skip
def test_local_references_lead_to_their_target(reference: str, target: Any) -> None:
    document = {
        "a": {"b": 1},
        "paths": {"/x~y": {"get": 2}},
        "list": [3, 4],
        "a b": 5,
        "chain": {"$ref": "#/link"},
        "link": {"$ref": "#/a/b"},
        "to/a": {"b": 1},
        "detour": {"$ref": "#/a"},
    }
    assert resolve(document, reference) == target


@pytest.mark.parametrize(
    "reference",
    ["#/nowhere", "#/list/2", "#/list/-1", "#/list/x", "#anchor", "other.yaml#/a", "file:///etc/passwd", "", "#/self",
     "#/round", "#/self/deeper", "#/text/x", "#" + "/a" * 20_000],
)  # fmt: skip
def test_references_that_lead_nowhere_are_none(reference: str) -> None:
    document = {
        "list": [1, 2],
        "self": {"$ref": "#/self"},
        "round": {"$ref": "#/and-round"},
        "and-round": {"$ref": "#/round"},
        "text": "x",
    }
    assert resolve(document, reference) is None


def test_a_schema_is_found_by_the_anchor_it_has() -> None:
    document = {"a": {"b": [{"$anchor": "here", "x": 1}]}, "example": {"$anchor": "there"}}
    assert resolve(document, "#here") == {"$anchor": "here", "x": 1}
    assert resolve(document, "#there") is None


def test_a_reference_by_the_documents_own_address_is_local() -> None:
    document = {"$self": "https://api.example/openapi", "a": 1}
    assert resolve(document, "https://api.example/openapi#/a") == 1


def test_a_reference_into_itself_ends() -> None:
    assert resolve({"a": {"$ref": "#/a/b/c"}}, "#/a/b/c") is None


def test_fields_beside_a_reference_win() -> None:
    references = References({"a": {"x": 1, "y": 1}}, Budget(Limits()))
    assert references.resolve({"$ref": "#/a", "y": 2}) == {"x": 1, "y": 2}


def test_what_is_no_reference_is_itself() -> None:
    references = References({}, Budget(Limits()))
    assert references.resolve({"$ref": {"type": "string"}}) == {"$ref": {"type": "string"}}
    assert references.resolve("text") == "text"


def test_a_long_chain_is_followed_once() -> None:
    chain: dict[str, Any] = {f"a{n}": {"$ref": f"#/a{n + 1}"} for n in range(50_000)}
    references = References({**chain, "a50000": "end"}, Budget(Limits()))
    assert [references.resolve(node) for node in chain.values()] == ["end"] * 50_000


def test_what_references_lead_to_is_limited() -> None:
    references = References({"wide": dict.fromkeys(map(str, range(100)))}, Budget(Limits(max_expansion=1000)))
    for _ in range(10):
        references.resolve({"$ref": "#/wide"})
    with pytest.raises(DocumentTooComplex) as caught:
        references.resolve({"$ref": "#/wide"})
    assert caught.value.details == {"limit": "max_expansion", "value": 1000}


def test_report_warns_of_broken_references_where_they_stand() -> None:
    document = {
        "a": {"$ref": "#/nowhere"},
        "b": [{"$ref": "other.yaml"}],
        "c": {"$ref": "#/a/x"},
        "fine": {"$ref": "#/b"},
        "example": {"$ref": "#/nowhere"},
    }
    findings = Findings()
    References(document, Budget(Limits())).report(survey(document, Budget(Limits())), findings)
    assert [(w.code, w.pointer) for w in findings.warnings()] == [
        ("unresolved_reference", "/a"), ("external_reference", "/b/0"), ("unresolved_reference", "/c"),
    ]  # fmt: skip
