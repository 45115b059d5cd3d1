"""What a changed document costs: 10 of 1,000 texts changed, and the same document in a second catalog."""

import time
from collections.abc import Iterator
from statistics import median

import pytest

from tests.benchmarks.conftest import StartFunction
from tests.benchmarks.figures import Record
from tests.benchmarks.provider import Provider, busy_seconds
from tests.benchmarks.uploads import Uploads
from tests.e2e.system import document

_TEXTS, _CHANGED = 1_000, 10
_RUNS = 5


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider(base_seconds=0.020, seconds_per_text=0.002) as provider:
        yield provider


def _changed(raw: bytes, run: int) -> bytes:
    """Give ten operations, others in each run, a summary that nobody has seen."""
    for number in range(run * _CHANGED, (run + 1) * _CHANGED):
        raw = raw.replace(b'"Read thing number %d"' % number, b'"Look at thing number %d"' % number)
    return raw


def test_reindex(provider: Provider, uploads: Uploads, start_function: StartFunction, record: Record) -> None:
    function = start_function(provider)
    raw = document("thing", _TEXTS)
    before = uploads.store("spec", raw)
    function.index(uploads, before)
    provider.new_calls()
    beyond, walls, sent = [], [], []
    for run in range(_RUNS):
        raw = _changed(raw, run)
        began = time.monotonic()
        stored = uploads.store("spec", raw)
        function.index(uploads, stored)
        wall = time.monotonic() - began
        calls = provider.new_calls()
        texts = [text for call in calls for text in call.texts]
        assert sorted(texts) == sorted(set(stored.texts) - set(before.texts))
        before = stored
        walls.append(wall)
        beyond.append(wall - busy_seconds(calls))
        sent.append(len(texts))
    record("texts sent when 10 of 1,000 changed", max(sent), "texts", at_most=_CHANGED, at_least=_CHANGED)
    record(
        "upload to published when 10 of 1,000 changed, beyond the provider's own time",
        median(beyond), "s", at_most=0.3, wall_seconds=round(median(walls), 3),
    )  # fmt: skip


def test_second_catalog(provider: Provider, uploads: Uploads, start_function: StartFunction, record: Record) -> None:
    start_function(provider).index(uploads, uploads.store("spec", document("thing", _TEXTS)))
    provider.new_calls()
    walls = []
    for run in range(_RUNS):
        uploads.create_catalog(f"other{run}")
        began = time.monotonic()
        stored = uploads.store("spec", document("thing", _TEXTS), f"other{run}")
        walls.append(time.monotonic() - began)
        assert stored.job_id is None
        assert uploads.is_published(stored)
    record("texts sent for the same spec in a second catalog", len(provider.new_calls()), "texts", at_most=0)
    record("upload of the same spec to a second catalog, published with it", median(walls), "s")
