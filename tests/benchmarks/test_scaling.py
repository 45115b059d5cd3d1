"""What more workers bring: 64 jobs of 10 calls of 200 ms each, for 1, 2, 4 and 8 warm embed functions.

Each function is a process of its own and gets one wake-up at the beginning, as the queue would deliver them; the jobs
are all there by then. The provider has Ollama's older route alone, so that each text is a call.
"""

import time
from collections.abc import Iterator

import pytest

from tests.benchmarks.conftest import StartFunction
from tests.benchmarks.embed_function import EmbedFunction
from tests.benchmarks.figures import Record
from tests.benchmarks.provider import Provider
from tests.benchmarks.uploads import Uploads
from tests.e2e.system import document

_JOBS, _CALLS_A_JOB = 64, 10
_WORKERS = (1, 2, 4, 8)


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider(base_seconds=0.2, has_embed=False) as provider:
        yield provider


@pytest.mark.timeout(600)
def test_scaling(provider: Provider, uploads: Uploads, start_function: StartFunction, record: Record) -> None:
    functions = [start_function(provider, embedding_calls_in_flight=1) for _ in range(max(_WORKERS))]
    for number, function in enumerate(functions):
        function.index(uploads, uploads.store(f"warm{number}", document(f"warm{number}", _CALLS_A_JOB)))
    provider.new_calls()
    seconds = {workers: _seconds(functions[:workers], uploads, provider) for workers in _WORKERS}
    record("64 jobs of 10 calls of 200 ms, 1 worker", seconds[1], "s")
    for workers in _WORKERS[1:]:
        record(
            f"64 jobs of 10 calls of 200 ms, {workers} workers",
            seconds[1] / (workers * seconds[workers]),
            "of linear scaling",
            at_least=0.95,
            seconds=round(seconds[workers], 3),
        )


def _seconds(functions: list[EmbedFunction], uploads: Uploads, provider: Provider) -> float:
    names = [f"of{len(functions)}-{number}" for number in range(_JOBS)]
    stored = [uploads.store(name, document(name, _CALLS_A_JOB)) for name in names]
    began = time.monotonic()
    for function, first in zip(functions, stored, strict=False):
        assert first.job_id is not None
        function.start(first.job_id)
    for function in functions:
        function.finish()
    seconds = time.monotonic() - began
    assert len(provider.new_calls()) == _JOBS * _CALLS_A_JOB
    assert all(uploads.is_published(spec) for spec in stored)
    return seconds
