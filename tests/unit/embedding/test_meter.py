"""What is measured of a provider's calls, whatever threads they are made in."""

import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from opdex.embedding import BatchLimits, ModelIdentity, Vector
from opdex.embedding.meter import MeteredEmbedder, tell_tokens
from opdex.errors import ProviderFailed, ProviderThrottled
from opdex.observability import metrics

_SECONDS = 0.05


class _Embedder:
    provider, model, calls_in_flight = "stub", "stub", 3
    identity = ModelIdentity(provider, model)
    batch_limits = BatchLimits(4, 10_000)

    def __init__(self, act: Callable[[], object]) -> None:
        self._act = act

    def embed(self, texts: Sequence[str], timeout: float) -> list[Vector]:
        self._act()
        return [[1.0] for _ in texts]

    def embed_queries(self, texts: Sequence[str]) -> list[Vector]:
        return [[1.0] for _ in texts]

    def probe(self) -> None:
        pass


@pytest.fixture(autouse=True)
def _nothing_measured_yet() -> None:
    metrics.clear_metrics()


def _measured(embedder: MeteredEmbedder, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    embedder.publish()
    capsys.readouterr()
    metrics.flush_metrics()
    lines = capsys.readouterr().out.splitlines()
    return dict(json.loads(lines[-1])) if lines else {}


def _wait() -> None:
    threading.Event().wait(_SECONDS)


def test_calls_at_once_are_one_time_in_the_provider(capsys: pytest.CaptureFixture[str]) -> None:
    meet = threading.Barrier(3, timeout=10)

    def act() -> None:
        meet.wait()
        _wait()

    embedder = MeteredEmbedder(_Embedder(act))
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(lambda n: embedder.embed([f"text {n}"], 1.0), range(3)))

    measured = _measured(embedder, capsys)
    latencies = [latency / 1000 for latency in measured["ProviderLatency"]]
    (busy,) = measured["ProviderSeconds"]
    assert len(latencies) == 3
    assert _SECONDS <= busy < sum(latencies)


def test_a_call_that_goes_on_counts_in_each_of_the_two_invocations(capsys: pytest.CaptureFixture[str]) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def act() -> None:
        begun.set()
        go_on.wait(10)

    embedder = MeteredEmbedder(_Embedder(act))
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(embedder.embed, ["text"], 1.0)
        begun.wait(10)
        _wait()
        first = _measured(embedder, capsys)
        go_on.set()
        call.result()
    second = _measured(embedder, capsys)

    assert first["ProviderSeconds"][0] >= _SECONDS
    assert "ProviderLatency" not in first
    assert first["ProviderSeconds"][0] + second["ProviderSeconds"][0] >= second["ProviderLatency"][0] / 1000 - 1e-3


def test_tokens_are_the_providers_own_when_it_tells_them(capsys: pytest.CaptureFixture[str]) -> None:
    embedder = MeteredEmbedder(_Embedder(lambda: tell_tokens(17)))
    embedder.embed(["12345678", "1234"], 1.0)

    measured = _measured(embedder, capsys)
    assert measured["TokensUsed"] == [17]
    assert "TokensEstimated" not in measured


@pytest.mark.parametrize("told", [None, "17", 0, -1])
def test_tokens_are_estimated_and_named_so_when_the_provider_does_not_tell(
    capsys: pytest.CaptureFixture[str], told: object
) -> None:
    embedder = MeteredEmbedder(_Embedder(lambda: tell_tokens(told)))
    embedder.embed(["12345678", "1234"], 1.0)

    measured = _measured(embedder, capsys)
    assert measured["TokensEstimated"] == [3]
    assert "TokensUsed" not in measured


def test_tokens_that_are_told_outside_of_a_call_are_nobodys() -> None:
    tell_tokens(17)


@pytest.mark.parametrize(
    ("error", "metric", "other"),
    [
        (ProviderThrottled(), "ProviderThrottles", "ProviderFailures"),
        (ProviderFailed("words of a text"), "ProviderFailures", "ProviderThrottles"),
    ],
)
def test_failure_is_counted_and_told_without_its_words(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, error: Exception, metric: str, other: str
) -> None:
    def act() -> None:
        raise error

    embedder = MeteredEmbedder(_Embedder(act))
    with pytest.raises(type(error)):
        embedder.embed(["text"], 1.0)

    (told,) = (record for record in caplog.records if record.message == "provider call failed")
    assert told.error_code == error.code  # type: ignore[attr-defined]
    assert "words of a text" not in str(vars(told))
    measured = _measured(embedder, capsys)
    assert measured[metric] == [1]
    assert other not in measured
    assert "TokensUsed" not in measured
    assert "TokensEstimated" not in measured
