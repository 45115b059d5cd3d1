"""A short run of the kills on the emulator. The long one is part of ``make faults``."""

import os
import random
from pathlib import Path

import pytest

from local.scratch import scratch_folder
from tests.faults.emulator import KillRun


@pytest.mark.timeout(200)
def test_another_worker_goes_on_when_two_are_killed_on_the_emulator(tmp_path: Path) -> None:
    seed = int(os.environ.get("FAULTS_SEED", random.randrange(2**31)))
    with scratch_folder(tmp_path) as folder:
        figures = KillRun(seed, jobs=2).play(folder, KillRun.open_jobs, KillRun.together)
    print(figures)
    assert not figures.broken, f"run again with FAULTS_SEED={seed}: {figures.broken}"
    assert figures.kills == 2
    assert figures.recovery is not None
    assert figures.recovery.max <= 90
