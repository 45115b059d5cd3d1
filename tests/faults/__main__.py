"""``python -m tests.faults --minutes 10 --seed N``: break the engine, and say whether it broke."""

import argparse
import json
import os
import secrets
import signal
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from local.scratch import scratch_folder
from tests.faults.emulator import ROUNDS, KillRun
from tests.faults.harness import Run

_FOLDER = Path(tempfile.gettempdir()) / "faults"
_ADDED_UP = ("seconds", "jobs", "succeeded", "kills", "texts_sent_again", "broken")
_FIGURE_SPOILED_BY = {"lost": "lost", "half": "duplicated", "stuck": "stuck", "wrong_vectors": "wrong_vectors"}


def main() -> int:
    """Play both runs, print their figures, and return 1 where an invariant broke."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--emulator-jobs", type=int, default=8, help="each is killed four times on the emulator")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # so that what runs is ended with it
    os.environ["POWERTOOLS_METRICS_DISABLED"] = "true"  # the figures alone are printed
    seed = secrets.randbelow(2**31) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    with scratch_folder(_FOLDER) as folder:
        figures = asdict(Run(folder, seed, options.minutes * 60, options.workers).play())
    print(f"now on the emulator, after: {json.dumps(figures)}", flush=True)
    with scratch_folder(_FOLDER) as folder:
        on_emulator = KillRun(seed, options.emulator_jobs).play(folder, *ROUNDS)
    figures = together(figures, asdict(on_emulator))
    for name, value in figures.items():
        if name not in ("broken", "acts"):
            print(f"{name.replace('_', ' '):24} {value}")
    for line in figures["broken"]:
        print(f"BROKEN {line}")
    print(json.dumps(figures))
    if figures["broken"]:
        print(f"again with: python -m tests.faults --minutes {options.minutes:g} --seed {seed}")
    return bool(figures["broken"])


def together(figures: dict[str, Any], on_emulator: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of both runs. The recovery time is the emulator's, where the lease is the template's own."""
    both = {name: value for name, value in figures.items() if not name.startswith("recovery")}
    both |= {name: value for name, value in on_emulator.items() if name not in _ADDED_UP}
    both |= {name: figures[name] + on_emulator[name] for name in _ADDED_UP}
    both["kills_with_lease"] += on_emulator["kills"]
    both["kills_on_emulator"] = on_emulator["kills"]
    for beginning, figure in _FIGURE_SPOILED_BY.items():
        lines = [line for line in both["broken"] if line.startswith(beginning)]
        both[figure] = sum(int(line.split("(", 1)[1].split(")")[0]) for line in lines)
    return both


if __name__ == "__main__":
    sys.exit(main())
