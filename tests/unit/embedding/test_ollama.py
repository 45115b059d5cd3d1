import json
import math
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from opdex.embedding.ollama import KEEP_ALIVE, OllamaEmbedder
from opdex.errors import (
    ProviderError,
    ProviderFailed,
    ProviderMisbehaved,
    ProviderRefused,
    ProviderThrottled,
    ProviderTimeout,
    ProviderUnavailable,
    TextRejected,
)
from tests.ollama_server import Failure, OllamaServer
from tests.unit.embedding.conftest import Clock

TEXTS = ["get users", "create a user", "delete a user"]


@pytest.fixture
def server() -> Iterator[OllamaServer]:
    with OllamaServer() as server:
        yield server


@pytest.fixture
def embedder(server: OllamaServer) -> Iterator[OllamaEmbedder]:
    embedder = OllamaEmbedder(server.url, query_timeout=10)
    yield embedder
    embedder.close()


def mocked(*answers: httpx.Response) -> tuple[OllamaEmbedder, list[tuple[str, dict[str, Any]]]]:
    """Return an embedder whose server answers these, and what it is sent: route and body."""
    sent: list[tuple[str, dict[str, Any]]] = []
    left = iter(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append((request.url.path, json.loads(request.content) if request.content else {}))
        return next(left)

    return OllamaEmbedder("http://ollama.example", transport=httpx.MockTransport(answer)), sent


NO_ROUTE = httpx.Response(404, text="404 page not found")


def test_embed_sends_all_texts_in_one_array_when_the_server_takes_arrays() -> None:
    embedder, sent = mocked(httpx.Response(200, json={"embeddings": [[3.0, 4.0], [0.0, 2.0]]}))
    assert embedder.embed(["a", "b"], timeout=1) == [[0.6, 0.8], [0.0, 1.0]]
    assert sent == [
        (
            "/api/embed",
            {"model": "nomic-embed-text", "input": ["a", "b"], "truncate": True, "keep_alive": KEEP_ALIVE},
        )
    ]
    assert embedder.batch_limits.max_texts == 32


def test_embed_calls_nothing_when_there_is_no_text() -> None:
    embedder, sent = mocked()
    assert embedder.embed([], timeout=1) == []
    assert sent == []


def test_embed_sends_one_text_a_call_from_then_on_when_the_server_has_the_old_route_alone() -> None:
    vector = {"embedding": [0.0, 2.0]}
    embedder, sent = mocked(NO_ROUTE, *[httpx.Response(200, json=vector) for _ in range(3)])
    assert embedder.embed(["a", "b"], timeout=1) == [[0.0, 1.0], [0.0, 1.0]]
    assert embedder.batch_limits.max_texts == 1
    embedder.embed(["c"], timeout=1)
    assert [route for route, _ in sent] == ["/api/embed", "/api/embeddings", "/api/embeddings", "/api/embeddings"]
    assert [body["prompt"] for _, body in sent[1:]] == ["a", "b", "c"]


@pytest.mark.parametrize("no_route", [NO_ROUTE, httpx.Response(404, json={"detail": "Not Found"}), httpx.Response(405)])
def test_embed_asks_the_old_route_when_the_other_is_missing_in_any_manner(no_route: httpx.Response) -> None:
    embedder, sent = mocked(no_route, httpx.Response(200, json={"embedding": [1.0]}))
    assert embedder.embed(["a"], timeout=1) == [[1.0]]
    assert len(sent) == 2


def test_embed_raises_refused_and_asks_no_other_route_when_the_model_is_missing() -> None:
    missing = {"error": 'model "nomic-embed-text" not found, try pulling it first'}
    embedder, sent = mocked(httpx.Response(404, json=missing))
    with pytest.raises(ProviderRefused, match=r"not found, try pulling it first\. Run `ollama pull nomic-embed-text`"):
        embedder.embed(["a"], timeout=1)
    assert len(sent) == 1
    assert embedder.batch_limits.max_texts == 32


def test_embed_raises_refused_when_the_server_has_neither_route() -> None:
    embedder, _ = mocked(NO_ROUTE, NO_ROUTE)
    with pytest.raises(ProviderRefused, match=r"no Ollama at ollama\.example"):
        embedder.embed(["a"], timeout=1)
    assert embedder.batch_limits.max_texts == 32  # a wrong URL tells nothing of the routes


@pytest.mark.parametrize(
    ("status", "words", "failure"),
    [
        (400, "the input cannot be embedded", TextRejected),
        (400, '"llama3" does not support embeddings', ProviderRefused),
        (400, "invalid model name", ProviderRefused),
        (401, "unauthorized", ProviderRefused),
        (429, "slow down", ProviderThrottled),
        (500, "unsupported value: NaN", ProviderFailed),
        (503, "server busy, please try again", ProviderUnavailable),
    ],
)
def test_embed_raises_with_the_servers_words_when_it_answers_an_error(
    status: int, words: str, failure: type[ProviderError]
) -> None:
    embedder, _ = mocked(httpx.Response(status, json={"error": words}))
    with pytest.raises(failure) as raised:
        embedder.embed(["a"], timeout=1)
    assert type(raised.value) is failure
    assert words in raised.value.message


@pytest.mark.parametrize("body", [{}, [], {"embeddings": None}, {"embedding": [1.0]}])
def test_embed_raises_misbehaved_when_the_answer_has_no_vectors(body: object) -> None:
    embedder, _ = mocked(httpx.Response(200, json=body))
    with pytest.raises(ProviderMisbehaved, match="no `embeddings`"):
        embedder.embed(["a"], timeout=1)


def test_embed_cuts_a_text_until_it_fits_when_the_server_ignores_truncate(
    server: OllamaServer, embedder: OllamaEmbedder
) -> None:
    server.context_length = 300
    text = "word " * 200
    assert len(embedder.embed([text], timeout=5)) == 1
    assert [len(call.texts[0]) for call in server.calls] == [1000, 500, 250]
    server.has_embed = False
    old = OllamaEmbedder(server.url)
    assert len(old.embed([text], timeout=5)) == 1
    old.close()


def test_embed_raises_text_rejected_when_one_of_several_is_too_long(
    server: OllamaServer, embedder: OllamaEmbedder
) -> None:
    server.context_length = 300
    with pytest.raises(TextRejected, match="exceeds the context length"):
        embedder.embed(["short", "word " * 200], timeout=5)
    assert len(server.calls) == 1


def test_embed_raises_text_rejected_when_even_a_short_text_is_too_long(
    server: OllamaServer, embedder: OllamaEmbedder
) -> None:
    server.context_length = 10
    with pytest.raises(TextRejected, match="exceeds the context length"):
        embedder.embed(["word " * 200], timeout=5)
    assert len(server.calls) == 4


@pytest.mark.parametrize("has_embed", [True, False])
def test_embed_answers_unit_vectors_in_order_when_the_server_has_either_route(
    server: OllamaServer, embedder: OllamaEmbedder, has_embed: bool
) -> None:
    server.has_embed = has_embed
    together = embedder.embed(TEXTS, timeout=5)
    assert [math.hypot(*vector) for vector in together] == pytest.approx([1, 1, 1])
    for text, vector in zip(TEXTS, together, strict=True):
        assert embedder.embed_queries([text])[0] == pytest.approx(vector)
    assert server.texts == [*TEXTS, *TEXTS]


@pytest.mark.parametrize("has_embed", [True, False])
@pytest.mark.parametrize(
    ("failure", "raised"),
    [
        (Failure("status", 429, retry_after="7"), ProviderThrottled),
        (Failure("status", 500), ProviderFailed),
        (Failure("status", 503), ProviderUnavailable),
        (Failure("cut"), ProviderUnavailable),
        (Failure("cut", headers_first=True), ProviderUnavailable),
        (Failure("wrong_count"), ProviderMisbehaved),
        (Failure("nan"), ProviderMisbehaved),
        (Failure("zero"), ProviderMisbehaved),
    ],
)
def test_embed_raises_once_and_works_again_when_a_call_goes_wrong(
    server: OllamaServer, embedder: OllamaEmbedder, failure: Failure, raised: type[ProviderError], has_embed: bool
) -> None:
    server.has_embed = has_embed
    server.fail(failure)
    with pytest.raises(raised) as caught:
        embedder.embed(TEXTS, timeout=5)
    assert type(caught.value) is raised
    assert getattr(caught.value, "retry_after", None) == (7 if failure.retry_after else None)
    assert len(embedder.embed(TEXTS, timeout=5)) == 3


def test_embed_raises_misbehaved_when_dimensions_differ(server: OllamaServer, embedder: OllamaEmbedder) -> None:
    server.fail(Failure("wrong_dimension"))
    with pytest.raises(ProviderMisbehaved, match="63 dimensions instead of 64"):
        embedder.embed(TEXTS, timeout=5)


def test_every_call_raises_unavailable_when_the_server_is_gone() -> None:
    with OllamaServer() as server:
        known, fresh = OllamaEmbedder(server.url), OllamaEmbedder(server.url)
        known.embed(TEXTS, timeout=5)
    for call in (lambda: known.embed(TEXTS, timeout=5), lambda: fresh.embed_queries(["a"]), fresh.probe):
        with pytest.raises(ProviderUnavailable, match="is away"):
            call()
    known.close()
    fresh.close()


def test_embed_spans_all_texts_with_its_timeout_when_each_is_a_call(clock: Clock) -> None:
    sent: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/embed":
            return NO_ROUTE
        sent.append(json.loads(request.content)["prompt"])
        clock.now += 7
        return httpx.Response(200, json={"embedding": [1.0]})

    embedder = OllamaEmbedder("http://ollama.example", transport=httpx.MockTransport(answer))
    with pytest.raises(ProviderTimeout):
        embedder.embed(TEXTS * 10, timeout=20)
    assert sent == TEXTS  # the third is answered too late, and no other is sent
    assert embedder.batch_limits.max_texts == 1  # one text was answered: the next call takes one


def test_embed_queries_keeps_to_its_own_short_timeout_when_the_server_hangs(server: OllamaServer) -> None:
    server.outage = Failure("hang", seconds=60)
    embedder = OllamaEmbedder(server.url, query_timeout=0.3)
    with pytest.raises(ProviderTimeout):
        embedder.embed_queries(["a"])
    assert server.calls == []  # it is hanging still
    embedder.close()


@pytest.mark.parametrize("model", ["nomic-embed-text", "nomic-embed-text:latest"])
def test_probe_passes_when_the_model_is_listed(server: OllamaServer, model: str) -> None:
    embedder = OllamaEmbedder(server.url, model)
    embedder.probe()
    embedder.close()
    assert server.calls == []


def test_probe_raises_refused_when_the_model_is_not_listed(server: OllamaServer) -> None:
    embedder = OllamaEmbedder(server.url, "bge-m3")
    with pytest.raises(ProviderRefused, match="run `ollama pull bge-m3`"):
        embedder.probe()
    embedder.close()


@pytest.mark.parametrize("answer", [NO_ROUTE, httpx.Response(200, json=[]), httpx.Response(200, json={"models": None})])
def test_probe_passes_when_the_server_cannot_tell_its_models(answer: httpx.Response) -> None:
    embedder, _ = mocked(answer)
    embedder.probe()


def test_probe_raises_when_the_server_answers_an_error() -> None:
    embedder, _ = mocked(httpx.Response(503))
    with pytest.raises(ProviderUnavailable, match="no reason given"):
        embedder.probe()
