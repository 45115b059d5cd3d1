"""What is measured of a provider's calls, whatever threads they are made in."""

import json
import threading
import time
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


class _HeldUp:
    """A call that has begun, and goes on until it is let go."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.begun.set()
        self.go_on.wait(10)


@pytest.fixture(autouse=True)
def _nothing_measured_yet() -> None:
    metrics.clear_metrics()


def _written(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
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
    with embedder.measured(), ThreadPoolExecutor(3) as threads:
        list(threads.map(lambda n: embedder.embed([f"text {n}"], 1.0), range(3)))

    measured = _written(capsys)
    latencies = [latency / 1000 for latency in measured["ProviderLatency"]]
    (busy,) = measured["ProviderSeconds"]
    assert len(latencies) == 3
    assert _SECONDS <= busy < sum(latencies)


def test_a_call_left_under_way_counts_while_an_invocation_runs_when_it_outlives_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    call_under_way = _HeldUp()
    embedder = MeteredEmbedder(_Embedder(call_under_way))
    with ThreadPoolExecutor(1) as threads:
        began = time.monotonic()
        with embedder.measured():
            call = threads.submit(embedder.embed, ["text"], 1.0)
            call_under_way.begun.wait(10)
            _wait()
        first = _written(capsys)
        left = time.monotonic()
        _wait()
        returned = time.monotonic()
        with embedder.measured():
            call_under_way.go_on.set()
            call.result()
        ended = time.monotonic()
    second = _written(capsys)

    assert _SECONDS <= first["ProviderSeconds"][0] <= left - began
    assert "ProviderLatency" not in first
    assert second["ProviderSeconds"][0] <= ended - returned
    assert second["ProviderLatency"][0] / 1000 >= 2 * _SECONDS


def test_no_time_counts_when_a_call_ends_between_invocations(capsys: pytest.CaptureFixture[str]) -> None:
    call_under_way = _HeldUp()
    embedder = MeteredEmbedder(_Embedder(call_under_way))
    with ThreadPoolExecutor(1) as threads:
        with embedder.measured():
            call = threads.submit(embedder.embed, ["text"], 1.0)
            call_under_way.begun.wait(10)
        _written(capsys)
        call_under_way.go_on.set()
        call.result()
        with embedder.measured():
            pass
    later = _written(capsys)

    assert len(later["ProviderLatency"]) == 1
    assert "ProviderSeconds" not in later


def test_tokens_are_the_providers_own_when_it_tells_them(capsys: pytest.CaptureFixture[str]) -> None:
    embedder = MeteredEmbedder(_Embedder(lambda: tell_tokens(17)))
    with embedder.measured():
        embedder.embed(["12345678", "1234"], 1.0)

    measured = _written(capsys)
    assert measured["TokensUsed"] == [17]
    assert "TokensEstimated" not in measured


@pytest.mark.parametrize("told", [None, "17", 0, -1])
def test_tokens_are_estimated_and_named_so_when_the_provider_does_not_tell(
    capsys: pytest.CaptureFixture[str], told: object
) -> None:
    embedder = MeteredEmbedder(_Embedder(lambda: tell_tokens(told)))
    with embedder.measured():
        embedder.embed(["12345678", "1234"], 1.0)

    measured = _written(capsys)
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
    with embedder.measured(), pytest.raises(type(error)):
        embedder.embed(["text"], 1.0)

    (told,) = (record for record in caplog.records if record.message == "provider call failed")
    assert told.error_code == error.code  # type: ignore[attr-defined]
    assert "words of a text" not in str(vars(told))
    measured = _written(capsys)
    assert measured[metric] == [1]
    assert other not in measured
    assert "TokensUsed" not in measured
    assert "TokensEstimated" not in measured
