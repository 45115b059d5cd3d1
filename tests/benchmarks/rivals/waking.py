"""How soon an idle worker begins a job: jobs given to it one by one, with a pause between."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from statistics import quantiles

JOBS = 200
_PAUSE_SECONDS = 0.02  # the worker is done with the job before, and waits


class Waking:
    """Keeps the time from each enqueue to ``begun``, which the job calls."""

    def __init__(self) -> None:
        self._begun = asyncio.Event()
        self._moment = 0.0
        self._milliseconds: list[float] = []

    def begun(self) -> None:
        """Take the moment."""
        self._moment = time.perf_counter()
        self._begun.set()

    async def measure(self, enqueue: Callable[[], Awaitable[object]]) -> None:
        """Enqueue the jobs, one each time that the worker is idle; the first ones only warm up."""
        for job in range(JOBS + 10):
            await asyncio.sleep(_PAUSE_SECONDS)
            self._begun.clear()
            asked = time.perf_counter()
            await enqueue()
            await asyncio.wait_for(self._begun.wait(), 30)
            if job >= 10:
                self._milliseconds.append((self._moment - asked) * 1000)

    def figures(self) -> dict[str, object]:
        """Return how many jobs there were, and their p50 and p95."""
        percentiles = quantiles(self._milliseconds, n=100)
        return {"jobs": JOBS, "p50_ms": round(percentiles[49], 2), "p95_ms": round(percentiles[94], 2)}
