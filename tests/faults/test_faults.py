"""A short run of the fault harness. The long one is ``make faults``."""

import os
import random
from pathlib import Path

import pytest

from local.scratch import scratch_folder
from tests.faults.harness import Run


@pytest.mark.timeout(200)
def test_every_invariant_holds_when_everything_fails(tmp_path: Path) -> None:
    seed = int(os.environ.get("FAULTS_SEED", random.randrange(2**31)))
    with scratch_folder(tmp_path) as folder:
        figures = Run(folder, seed, seconds=15).play(least_kills=5)
    print(figures)
    assert not figures.broken, f"run again with FAULTS_SEED={seed}: {figures.broken}"
    assert figures.jobs >= 10
