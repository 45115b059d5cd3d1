"""``python -m tests.faults --minutes 10 --seed N``: break the engine, and say whether it broke."""

import argparse
import json
import secrets
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from local.scratch import scratch_folder
from tests.faults import recovery
from tests.faults.harness import Run

_MOST_RECOVERY_SECONDS = 90.0


def main() -> int:
    """Play one run, print its figures, and return 1 where an invariant broke."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--template-kills", type=int, default=30, help="kills under the template's own lease")
    options = parser.parse_args()
    seed = secrets.randbelow(2**31) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    with scratch_folder(Path(tempfile.gettempdir()) / "faults") as folder:
        figures = asdict(Run(folder, seed, options.minutes * 60, options.workers).play())
    if options.template_kills:
        with scratch_folder(Path(tempfile.gettempdir()) / "faults") as folder:
            measured = recovery.figures(recovery.recovery_seconds(folder, seed, options.template_kills))
        if measured["template_recovery_max"] > _MOST_RECOVERY_SECONDS:
            figures["broken"].append(f"recovery: a job waited for more than {_MOST_RECOVERY_SECONDS:g} s: {measured}")
        figures.update(measured)
    for name, value in figures.items():
        if name not in ("broken", "acts"):
            print(f"{name.replace('_', ' '):24} {value}")
    for line in figures["broken"]:
        print(f"BROKEN {line}")
    print(json.dumps(figures))
    if figures["broken"]:
        print(f"again with: python -m tests.faults --minutes {options.minutes:g} --seed {seed}")
    return bool(figures["broken"])


if __name__ == "__main__":
    sys.exit(main())
