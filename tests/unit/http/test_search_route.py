from typing import Any

import pytest

from opdex.http.cursors import encode_cursor
from opdex.http.routing import BASE_PATH
from opdex.search import FoundOperation, SearchAnswer, SearchRequest
from tests.gateway import Gateway, LambdaContext, proxy_event

SEARCH = f"{BASE_PATH}/search"
_SEARCH = "opdex.search.searcher.Searcher.search"


def operation(description: str = "") -> FoundOperation:
    return FoundOperation(
        operation_id="cancel",
        method="POST",
        path="/subscriptions/{id}/cancel",
        summary="Cancel",
        description=description,
        tags=[],
        deprecated=False,
        spec_name="billing",
        catalog_id="crm",
        score=0.9,
        matched=["semantic"],
    )


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[SearchRequest]:
    requests: list[SearchRequest] = []

    def fake(searcher: object, request: SearchRequest) -> SearchAnswer:
        requests.append(request)
        return SearchAnswer(operations=[operation()], ranking="hybrid")

    monkeypatch.setattr(_SEARCH, fake)
    return requests


def test_search_passes_every_parameter_on(gateway: Gateway, asked: list[SearchRequest]) -> None:
    query = (
        "q=cancel%20a%2C%20b&catalog=crm&catalog=erp&spec=billing&method=post&tag=Billing&ranking=semantic&limit=500"
        f"&deprecated=false&without=graph&without=hint&cursor={encode_cursor(20)}"
    )
    answer = gateway.call("GET", f"{SEARCH}?{query}", key="reader")
    assert answer.status == 200
    assert asked == [
        SearchRequest(
            q="cancel a, b",
            catalogs=("crm", "erp"),
            specs=("billing",),
            method="post",
            tag="Billing",
            deprecated=False,
            ranking="semantic",
            without=("graph", "hint"),
            limit=500,
            start=20,
        )
    ]


def test_search_has_the_defaults_of_the_contract(gateway: Gateway, asked: list[SearchRequest]) -> None:
    answer = gateway.call("GET", f"{SEARCH}?q=cancel")
    assert asked == [SearchRequest(q="cancel")]
    assert set(answer.json) == {"operations", "ranking"}
    assert answer.json["operations"][0]["matched"] == ["semantic"]


def test_search_shows_the_note(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = SearchAnswer(operations=[], ranking="lexical", note="The provider is away.")
    monkeypatch.setattr(_SEARCH, lambda *_: answer)
    assert gateway.call("GET", f"{SEARCH}?q=x").json == {
        "operations": [],
        "ranking": "lexical",
        "note": "The provider is away.",
    }


@pytest.mark.parametrize(
    "query",
    [
        "",
        "q=",
        "q=%20",
        "q=%00",
        f"q={'a' * 1001}",
        "q=x&limit=501",
        "q=x&ranking=best",
        "q=x&without=luck",
        "q=x&deprecated=perhaps",
        "q=x&cursor=nowhere",
        "q=x&catalog=%00",
        "q=x&tag=%00",
        f"q=x&tag={'a' * 501}",
    ],
)
def test_search_with_a_bad_parameter_is_400(gateway: Gateway, asked: list[Any], query: str) -> None:
    answer = gateway.call("GET", f"{SEARCH}?{query}")
    assert (answer.status, answer.code) == (400, "malformed_request")
    assert asked == []


@pytest.mark.parametrize("parameter", ["q", "catalog", "spec", "method", "tag", "ranking", "limit"])
def test_search_for_half_a_surrogate_pair_is_400(gateway: Gateway, asked: list[Any], parameter: str) -> None:
    event = proxy_event("GET", f"{SEARCH}?q=x", headers={"x-api-key": "reader"})
    event["queryStringParameters"] |= {parameter: "\ud800"}
    event["multiValueQueryStringParameters"] |= {parameter: ["\ud800"]}
    assert gateway.handler(event, LambdaContext())["statusCode"] == 400
    assert asked == []


def test_search_for_a_parameter_without_a_value_is_400(gateway: Gateway, asked: list[Any]) -> None:
    event = proxy_event("GET", f"{SEARCH}?q=x", headers={"x-api-key": "reader"})
    event |= {"queryStringParameters": {"q": None}, "multiValueQueryStringParameters": {"q": [None]}}
    assert gateway.handler(event, LambdaContext())["statusCode"] == 400


@pytest.mark.parametrize("character", ['"', "\N{CJK UNIFIED IDEOGRAPH-4E2D}", "\N{GRINNING FACE}"])
def test_search_shows_as_many_as_fit_into_one_answer_and_where_the_rest_is(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, character: str
) -> None:
    many = [operation(character * 10_000) for _ in range(500)]
    monkeypatch.setattr(_SEARCH, lambda *_: SearchAnswer(operations=many, ranking="hybrid"))
    answer = gateway.call("GET", f"{SEARCH}?q=x&limit=500")
    assert answer.status == 200
    shown = len(answer.json["operations"])
    assert 50 < shown < 500
    assert answer.json["next"] == encode_cursor(shown)
