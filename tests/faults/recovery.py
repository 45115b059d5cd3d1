"""How soon another worker goes on after a kill, under the template's own lease and heartbeat and without any sweep."""

import random
import statistics
import time
from pathlib import Path

from tests.faults.harness import TEMPLATE, Stage
from tests.integration.engine import wait_until

_AT_ONCE = 10
_HELD = (
    "SELECT count(*) AS jobs FROM jobs WHERE status = 'running' AND id = ANY(%s)"
    " AND lease_token IN (SELECT lease_token FROM fault_journal WHERE job_id = jobs.id AND at > to_timestamp(%s))"
)
_CLAIMED = (
    "SELECT extract(epoch FROM min(at))::float8 AS at FROM fault_journal f WHERE job_id = %s AND at > to_timestamp(%s)"
    " AND lease_token NOT IN (SELECT lease_token FROM fault_journal WHERE job_id = f.job_id"
    " AND lease_token IS NOT NULL AND at <= to_timestamp(%s))"
)


def recovery_seconds(folder: Path, seed: int, kills: int = 30) -> list[float]:
    """Kill that many workers while they hold a job; return the seconds from each kill to its job's next claim."""
    dice = random.Random(seed)
    seconds: list[float] = []
    with Stage(folder, seed, _AT_ONCE, TEMPLATE) as stage, stage.sql() as c:
        stage.start_workers()
        for round_number in range(-(-kills // _AT_ONCE)):
            stage.provider.base_seconds, stage.provider.seconds_per_text = 0.5, 0.5
            began = time.time()
            jobs = [
                stage.upload(
                    "catalog", f"spec-{round_number}-{n}", [f"thing {k} of {round_number}-{n}" for k in range(400)]
                )
                for n in range(_AT_ONCE)
            ]
            wait_until(lambda: (c.execute(_HELD, [jobs, began]).fetchone() or {})["jobs"] == _AT_ONCE, 60)  # noqa: B023
            killed_at: dict[int, float] = {}
            for assignment, process in list(stage.workers):
                time.sleep(dice.uniform(0, 2))  # the moment within the lease is left to chance
                held = c.execute(
                    "SELECT j.id AS job_id FROM jobs j JOIN fault_journal f ON f.job_id = j.id"
                    " AND f.lease_token = j.lease_token AND f.who = %s WHERE j.status = 'running' LIMIT 1",
                    [assignment.name],
                ).fetchone()
                process.kill()
                process.join()
                assert held is not None
                killed_at[held["job_id"]] = time.time()
                stage.start_workers()
            claimed_at: dict[int, float] = {}

            def all_go_on(killed: dict[int, float] = killed_at, claimed: dict[int, float] = claimed_at) -> bool:
                for job_id, at in killed.items():
                    row = c.execute(_CLAIMED, [job_id, at, at]).fetchone()
                    if job_id not in claimed and row is not None and row["at"] is not None:
                        claimed[job_id] = row["at"]
                return len(claimed) == len(killed)

            wait_until(all_go_on, 120)
            seconds += [claimed_at[job_id] - at for job_id, at in killed_at.items()]
            stage.provider.base_seconds = stage.provider.seconds_per_text = 0.0
            done = "SELECT id FROM jobs WHERE status <> 'succeeded' LIMIT 1"
            wait_until(lambda: c.execute(done).fetchone() is None, 120)  # noqa: B023
    return sorted(seconds)


def figures(seconds: list[float]) -> dict[str, float]:
    """Return what is said of the recovery times."""
    return {
        "template_kills": len(seconds),
        "template_recovery_p50": round(statistics.median(seconds), 1),
        "template_recovery_p95": round(seconds[min(len(seconds) - 1, int(0.95 * len(seconds)))], 1),
        "template_recovery_max": round(seconds[-1], 1),
    }
