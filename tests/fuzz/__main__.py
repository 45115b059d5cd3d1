"""``python -m tests.fuzz --minutes 10 --seed N``: send what nobody should, and say whether an answer was wrong."""

import argparse
import itertools
import json
import secrets
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from local.build import PROJECT
from local.scratch import scratch_folder
from tests.fuzz.campaign import Campaign
from tests.fuzz.contract import check_contract
from tests.fuzz.samples import all_samples
from tests.fuzz.service import running_service

_CONTRACTS_SHARE = 0.3


def main() -> int:
    """Play both parts, print what they did, and return 1 where something was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--cases", type=int, default=None, help="so many cases, in place of the minutes")
    parser.add_argument("--examples", type=int, default=None, help="so many of each operation of the contract")
    parser.add_argument("--case", type=int, default=None, help="this case alone")
    parser.add_argument("--keep", type=Path, default=PROJECT / ".local" / "fuzz", help="where findings are kept")
    options = parser.parse_args()
    seed = secrets.randbelow(2**31) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    until = time.monotonic() + options.minutes * 60 * (1 - _CONTRACTS_SHARE)
    numbers: Iterable[int] = itertools.count() if options.cases is None else range(options.cases)
    with scratch_folder(Path(tempfile.gettempdir()) / "fuzz") as folder, running_service(folder) as gateway:
        campaign = Campaign(gateway, all_samples(), seed, options.keep)
        if options.case is not None:
            numbers = [options.case]
        report = campaign.play(numbers, until if options.cases is None else float("inf"))
        findings = list(report.findings)
        if options.case is None:
            seconds = options.minutes * 60 * _CONTRACTS_SHARE if options.examples is None else float("inf")
            contract = check_contract(gateway, seed, examples=options.examples, seconds=seconds)
            findings += contract.findings.values()
            print(f"contract: {contract.requests} requests of {len(contract.operations)} operations")
    answers = dict(sorted(report.answers.items()))
    print(f"documents: {report.cases} cases; answers {json.dumps(answers)}")
    print(f"slowest {report.slowest_seconds:.2f} s (case {report.slowest_case}); peak {report.peak_megabytes} MB")
    for finding in findings:
        print(f"FOUND {finding}")
    return bool(findings)


if __name__ == "__main__":
    sys.exit(main())
