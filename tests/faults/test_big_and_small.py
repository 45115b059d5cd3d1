"""One huge spec and many small ones, with one worker."""

from pathlib import Path

from local.scratch import scratch_folder
from tests.faults.stage import Stage, Timing
from tests.integration.engine import things

_OPERATIONS = 10_000
_SMALL = 100


def test_small_specs_do_not_wait_when_a_huge_one_has_the_only_worker(tmp_path: Path) -> None:
    with scratch_folder(tmp_path) as folder, Stage(folder, workers=1, timing=Timing(invocation=300)) as stage:
        stage.provider.base_seconds, stage.provider.seconds_per_text = 0.0, 0.001
        huge = stage.open_job("huge", things(_OPERATIONS, "huge thing"))
        stage.start_workers()
        stage.wait_for("id = %s AND embedded_so_far > 100", huge)

        small = [stage.open_job(f"small-{number}", things(2, f"small thing {number}")) for number in range(_SMALL)]

        with stage.sql() as c:
            stage.wait_for("NOT EXISTS (SELECT FROM jobs WHERE id = ANY(%s) AND status <> 'succeeded')", small)
            stage.wait_for_end(120)
            order = c.execute("SELECT id FROM jobs ORDER BY completed_at").fetchall()
            states = c.execute("SELECT DISTINCT status, attempts FROM jobs").fetchall()
        assert order[-1]["id"] == huge
        assert states == [{"status": "succeeded", "attempts": 1}]
        assert len(stage.provider.texts) == len(set(stage.provider.texts)) == _OPERATIONS + 2 * _SMALL
