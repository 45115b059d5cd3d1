"""`make bench`: all benchmarks, or those that are named; keeps the figures and makes README's table of them."""

import sys
from pathlib import Path

import pytest

from tests.benchmarks.performance_table import BENCHES, write_table


def main() -> int:
    """Run, and return 0 where all figures keep their bounds."""
    here = Path(__file__).parent
    files = [str(here / f"test_{bench}.py") for bench in sys.argv[1:] or BENCHES]
    status = pytest.main(["--record", "--quiet", *files])
    write_table()
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
