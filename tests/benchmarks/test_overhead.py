"""What indexing costs beyond the provider's own calls: from an upload's commit to published, in a warm function."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import batched
from statistics import median

import httpx
import pytest

from tests.benchmarks.conftest import StartFunction
from tests.benchmarks.figures import Record
from tests.benchmarks.provider import Provider
from tests.benchmarks.rivals import OverheadFigures, overhead
from tests.benchmarks.uploads import Uploads
from tests.e2e.system import document
from tests.migrated_server import MigratedServer
from tests.ollama_server import MODEL

_TEXTS, _TEXTS_A_CALL = 1_000, 32
_RUNS = 5


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider(base_seconds=0.020, seconds_per_text=0.002) as provider:
        yield provider


@pytest.fixture(scope="module")
def others(postgres: MigratedServer, provider: Provider) -> list[OverheadFigures]:
    return overhead(postgres.maintenance_url, provider.url, runs=_RUNS)


def _bare_calls(client: httpx.Client, texts: Sequence[str], at_once: int) -> float:
    """Embed the texts with nothing around the calls, and return the seconds."""

    def call(chunk: tuple[str, ...]) -> None:
        answer = client.post("/api/embed", json={"model": MODEL, "input": chunk}).json()
        assert len(answer["embeddings"]) == len(chunk)

    chunks = batched(texts, _TEXTS_A_CALL, strict=False)
    began = time.monotonic()
    if at_once == 1:
        for chunk in chunks:
            call(chunk)
    else:
        with ThreadPoolExecutor(at_once) as threads:
            list(threads.map(call, chunks))
    return time.monotonic() - began


@pytest.mark.parametrize(("at_once", "at_most"), [(1, 1.05), (5, 1.15)])
def test_overhead(
    provider: Provider,
    uploads: Uploads,
    start_function: StartFunction,
    others: list[OverheadFigures],
    record: Record,
    at_once: int,
    at_most: float,
) -> None:
    function = start_function(provider, embedding_calls_in_flight=at_once)
    ours, bare, firsts, calls = [], [], [], []
    with httpx.Client(base_url=provider.url, timeout=60) as client:
        for run in range(_RUNS + 1):
            stored = uploads.store(f"run{run}", document(f"run{run}", _TEXTS))
            provider.new_calls()
            seconds = function.index(uploads, stored)
            seen = provider.new_calls()
            bare_seconds = _bare_calls(client, stored.texts, at_once)
            if run == 0:
                continue  # the function was cold, and the client had no connection
            ours.append(seconds)
            bare.append(bare_seconds)
            firsts.append(min(call.started for call in seen) - stored.committed)
            calls.append(len(seen))
    seconds_of, times_bare = _beside(others, at_once)
    figure = f"1,000 texts, calls of 32, {at_once} in flight"
    record(
        figure,
        median(mine / alone for mine, alone in zip(ours, bare, strict=True)),
        "times the bare calls",
        at_most=min(at_most, *times_bare.values()),
        beside=times_bare,
        seconds=[round(seconds, 3) for seconds in ours],
        bare_seconds=[round(seconds, 3) for seconds in bare],
        calls=calls,
    )
    record(f"{figure}: wall time", median(ours), "s", at_most=1.0 if at_once == 5 else None, beside=seconds_of)
    record(f"upload's commit to the first call, {at_once} in flight", median(firsts) * 1000, "ms", at_most=100)


def _beside(others: list[OverheadFigures], at_once: int) -> tuple[dict[str, float], dict[str, float]]:
    """Return the seconds of the others, and how many times those of their own bare calls that is."""
    measured = [other for other in others if other.calls_in_flight == at_once]
    bare = next(other.median_seconds for other in measured if other.what == "bare")
    seconds = {f"{other.what} {other.version}": other.median_seconds for other in measured if other.what != "bare"}
    return (
        {name: round(value, 3) for name, value in seconds.items()},
        {name: round(value / bare, 3) for name, value in seconds.items()},
    )
