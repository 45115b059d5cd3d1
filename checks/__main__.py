"""``python -m checks [NAME …]``: all checks, or those named, as many at once as there are processors."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from checks.errors import NOT_DONE
from checks.table import CHECKS, Check


@dataclass(frozen=True)
class Outcome:
    """How one check ended."""

    check: Check
    status: int
    output: str
    seconds: float

    @property
    def verdict(self) -> str:
        """What its line says."""
        return {0: "ok", NOT_DONE: "NOT DONE"}.get(self.status, "FAILED")


def run(check: Check) -> Outcome:
    """Run one check to its end."""
    began = time.monotonic()
    done = subprocess.run(
        check.command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Outcome(check, done.returncode, done.stdout, time.monotonic() - began)


def run_all(checks: Sequence[Check], say: Callable[[str], None]) -> list[Outcome]:
    """Run checks side by side, tell each as it ends, and return how they ended. What is fine has no more to say."""
    outcomes = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for future in as_completed([pool.submit(run, check) for check in checks]):
            outcome = future.result()
            say(f"{outcome.verdict:<9} {outcome.check.name:<11} {outcome.seconds:5.1f} s   {outcome.check.what}")
            if outcome.status:
                say(outcome.output.rstrip() + "\n")
            outcomes.append(outcome)
    return outcomes


def main(names: Sequence[str], *, audit_is_required: bool) -> str | None:
    """Run what is named, or everything; return what is wrong, if anything."""
    known = {check.name: check for check in CHECKS}
    if unknown := [name for name in names if name not in known]:
        return f"There is no check {', '.join(unknown)}. There are: {', '.join(known)}."
    outcomes = run_all([known[name] for name in names or known], lambda line: print(line, flush=True))
    failed = [outcome.check.name for outcome in outcomes if outcome.verdict == "FAILED"]
    not_done = [outcome.check.name for outcome in outcomes if outcome.verdict == "NOT DONE"]
    if not_done:
        print(f"NOT DONE: {', '.join(not_done)}. Nothing is known of it; AUDIT=required makes it a failure.")
    if audit_is_required:
        failed += not_done
    return f"Failed: {', '.join(failed)}." if failed else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], audit_is_required=os.environ.get("AUDIT") == "required"))
