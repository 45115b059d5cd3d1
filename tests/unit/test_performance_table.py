"""README's performance table is what the benchmarks measured last, and says so where a bound is missed."""

from dataclasses import replace

import pytest

from tests.benchmarks.figures import Figure, read_figure
from tests.benchmarks.performance_table import README, read_results, with_table

_RUN = {"date": "2026-01-31", "commit": "abc", "processor": "P", "cores": 2, "memory_gib": 8, "postgres": "18.0"}


def _figure(value: float, at_most: float | None = None, at_least: float | None = None) -> Figure:
    return Figure("jobs", value, "a second", at_most, at_least, {"another": 1234.5}, {"runs": [1, 2]}, _RUN)


def test_table_is_that_of_the_results_when_readme_is_read() -> None:
    readme = README.read_text("utf-8")

    assert readme == with_table(readme, read_results())


def test_table_names_machine_bound_and_others_when_a_figure_has_them() -> None:
    table = with_table(
        "before\n<!-- made by `make bench` -->\nold\n<!-- end -->\nafter\n", {"queue": [_figure(0.12345, 0.5)]}
    )

    assert table.startswith("before\n")
    assert "| `queue` | jobs | 0.123 a second | ≤ 0.5 | another: 1,234 |" in table
    assert "2026-01-31, commit abc, P, 2 cores, 8 GiB, Postgres 18.0: `queue`" in table
    assert "old" not in table
    assert table.endswith("after\n")


def test_table_says_of_each_bench_when_its_figures_were_taken() -> None:
    later = replace(_figure(1), run={**_RUN, "commit": "def"})
    table = with_table("", {"queue": [_figure(1), _figure(2)], "load": [later], "search": [_figure(3)]})

    assert [line.partition(" | jobs")[0] for line in table.splitlines() if "| jobs |" in line] == [
        "| `queue`", "| ", "| `load`", "| `search`",
    ]  # fmt: skip
    assert [line for line in table.splitlines() if line.startswith("- ")] == [
        "- 2026-01-31, commit abc, P, 2 cores, 8 GiB, Postgres 18.0: `queue`, `search`",
        "- 2026-01-31, commit def, P, 2 cores, 8 GiB, Postgres 18.0: `load`",
    ]


@pytest.mark.parametrize(
    ("figure", "holds"),
    [
        (_figure(1), True),
        (_figure(1, at_most=1), True),
        (_figure(1.01, at_most=1), False),
        (_figure(1, at_least=1), True),
        (_figure(0.99, at_least=1), False),
        (_figure(1.2, at_most=1.1, at_least=0.9), False),
    ],
)
def test_bound_holds_when_the_value_is_within(figure: Figure, holds: bool) -> None:
    assert figure.holds is holds
    assert ("missed" in with_table("", {"queue": [figure]})) is not holds


def test_figure_is_the_same_when_it_is_written_and_read() -> None:
    figure = _figure(1.5, at_most=2)

    assert read_figure(figure.as_line()) == figure
