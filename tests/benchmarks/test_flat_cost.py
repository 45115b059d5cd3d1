"""What a job costs of its own, and whether an operation of a large document costs more than one of a small one."""

from collections.abc import Iterator
from statistics import median

import pytest

from tests.benchmarks.conftest import StartFunction
from tests.benchmarks.figures import Record
from tests.benchmarks.provider import Provider, busy_seconds
from tests.benchmarks.uploads import Uploads
from tests.e2e.system import document

_RUNS = 5
_SMALL, _LARGE = 1_000, 10_000


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider:  # as fast as it can
        yield provider


def test_flat_cost(provider: Provider, uploads: Uploads, start_function: StartFunction, record: Record) -> None:
    function = start_function(provider)

    def index(name: str, operations: int) -> tuple[float, float]:
        """Return the seconds from commit to published, and those in which a call was under way."""
        provider.new_calls()
        seconds = function.index(uploads, uploads.store(name, document(name, operations)))
        return seconds, busy_seconds(provider.new_calls())

    index("warm", _SMALL)
    alone = [index(f"one{run}", 1) for run in range(_RUNS)]
    fixed = median(seconds for seconds, _ in alone)
    small, large = [], []
    for run in range(_RUNS):
        small.append((index(f"small{run}", _SMALL)[0] - fixed) / _SMALL)
        large.append((index(f"large{run}", _LARGE)[0] - fixed) / _LARGE)
    beyond = median(seconds - busy for seconds, busy in alone)
    record("a job of one operation, beyond the provider's own time", beyond * 1000, "ms", at_most=150)
    record("each operation of 1,000, beyond a job of one", median(small) * 1000, "ms")
    record("each operation of 10,000, beyond a job of one", median(large) * 1000, "ms")
    record(
        "each operation of 10,000 to each of 1,000",
        median(large) / median(small),
        "times the time",
        at_most=1.1,
        at_least=0.9,
        small=[round(seconds * 1000, 4) for seconds in small],
        large=[round(seconds * 1000, 4) for seconds in large],
    )
