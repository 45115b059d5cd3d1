"""`make bench`: all benchmarks, or those named; keeps their figures, for README's table and the page of costs."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from docs.pages.writing import write_pages
from tests.benchmarks.performance_table import BENCHES, write_table

_OF_COSTS = ("consumption",)


def main(names: Sequence[str]) -> int:
    """Run what is named, or everything, and return 0 where all figures keep their bounds."""
    known = BENCHES + _OF_COSTS
    if unknown := [name for name in names if name not in known]:
        print(f"There is no bench {', '.join(unknown)}. There are: {', '.join(known)}.", file=sys.stderr)
        return 2
    here = Path(__file__).parent
    status = pytest.main(["--record", "--quiet", *(str(here / f"test_{bench}.py") for bench in names or known)])
    write_table()
    write_pages()
    return int(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
