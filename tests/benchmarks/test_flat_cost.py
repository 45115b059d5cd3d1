"""What a job costs of its own, and whether an operation of a large document costs more than one of a small one."""

from statistics import median
from typing import Any

import pytest

from tests.benchmarks.conftest import StartFunction
from tests.benchmarks.figures import Record
from tests.benchmarks.provider import Provider, busy_seconds
from tests.benchmarks.uploads import Uploads
from tests.e2e.system import document

_RUNS = 5
_SMALL, _LARGE = 1_000, 10_000
_AS_FAST_AS_IT_CAN = {"base_seconds": 0.0, "seconds_per_text": 0.0}
_SLOWER = {"base_seconds": 0.005, "seconds_per_text": 0.0005}


def test_fixed_cost(uploads: Uploads, start_function: StartFunction, record: Record) -> None:
    with Provider(**_AS_FAST_AS_IT_CAN) as provider:
        function = start_function(provider)
        costs = []
        for run in range(_RUNS + 1):
            stored = uploads.store(f"run{run}", document(f"run{run}", 1))
            seconds = function.index(uploads, stored)
            costs.append(seconds - busy_seconds(provider.new_calls()))
    record("a job of one operation, beyond the provider's own time", median(costs[1:]) * 1000, "ms", at_most=150)


@pytest.mark.parametrize(
    ("named", "speed", "settings", "at_least"),
    [
        ("5 ms + 0.5 ms a text, one call in flight", _SLOWER, {"embedding_calls_in_flight": 1}, 0.9),
        # The fixed cost shows here: an operation of many may well be cheaper.
        ("as fast as it can", _AS_FAST_AS_IT_CAN, {}, None),
    ],
)
def test_cost_of_an_operation(
    uploads: Uploads,
    start_function: StartFunction,
    record: Record,
    named: str,
    speed: dict[str, float],
    settings: dict[str, Any],
    at_least: float | None,
) -> None:
    with Provider(**speed) as provider:
        function = start_function(provider, **settings)

        def milliseconds(name: str, operations: int) -> float:
            """Return the time from commit to published for each operation."""
            return function.index(uploads, uploads.store(name, document(name, operations))) / operations * 1000

        milliseconds("warm", _LARGE)
        small, large = [], []
        for run in range(_RUNS):
            small.append(milliseconds(f"small{run}", _SMALL))
            large.append(milliseconds(f"large{run}", _LARGE))
    record(
        f"an operation of 10,000 to one of 1,000 (provider: {named})",
        median(large) / median(small),
        "times the time",
        at_most=1.1,
        at_least=at_least,
        milliseconds_small=[round(value, 4) for value in small],
        milliseconds_large=[round(value, 4) for value in large],
    )
