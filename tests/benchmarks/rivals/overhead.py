"""What indexing costs beyond the calls, in each library. ``python -m … overhead DATABASE_URL PROVIDER_URL RUNS``.

Within a run all take their turns, so that what else the machine does falls on all alike. The first run is a warm-up.
"""

import asyncio
import json
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.benchmarks.rivals.bare_embedding import bare
from tests.benchmarks.rivals.cocoindex_embedding import cocoindex
from tests.benchmarks.rivals.procrastinate_embedding import procrastinate
from tests.benchmarks.rivals.workload import TEXTS

CALLS_IN_FLIGHT = (1, 5)


async def overhead(database_url: str, provider_url: str, runs: int) -> list[dict[str, Any]]:
    """Return the seconds of each run, for each library and number of calls in flight."""
    with tempfile.TemporaryDirectory() as folder:
        async with (
            bare(provider_url) as calls_alone,
            procrastinate(database_url, provider_url) as with_procrastinate,
            cocoindex(database_url, provider_url, Path(folder) / "state") as with_cocoindex,
        ):
            ways = {"bare": calls_alone, "procrastinate": with_procrastinate, "cocoindex": with_cocoindex}
            seconds: dict[tuple[str, int], list[float]] = {}
            for run in range(runs + 1):
                for in_flight in CALLS_IN_FLIGHT if run else CALLS_IN_FLIGHT[-1:]:
                    for what, index in ways.items():
                        took = await index(f"run_{run}_{in_flight}", in_flight)
                        if run:
                            seconds.setdefault((what, in_flight), []).append(round(took, 4))
    return [
        {
            "what": what,
            "version": version("httpx" if what == "bare" else what),
            "calls_in_flight": in_flight,
            "texts": TEXTS,
            "seconds": took,
        }
        for (what, in_flight), took in seconds.items()
    ]


if __name__ == "__main__":
    _, database, provider, runs = sys.argv
    print(json.dumps(asyncio.run(overhead(database, provider, int(runs)))))
