"""`make bench`: all benchmarks, or those named; keeps their figures, for README's table and the page of costs."""

import sys
from pathlib import Path

import pytest

from docs.pages.writing import write_pages
from tests.benchmarks.performance_table import BENCHES, write_table

_OF_COSTS = ("consumption",)


def main() -> int:
    """Run, and return 0 where all figures keep their bounds."""
    here = Path(__file__).parent
    files = [str(here / f"test_{bench}.py") for bench in sys.argv[1:] or BENCHES + _OF_COSTS]
    status = pytest.main(["--record", "--quiet", *files])
    write_table()
    write_pages()
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
