"""README's performance table, made from the figures of the last `make bench`."""

from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.figures import RESULTS, Figure, read_figure

README = Path(__file__).parents[2] / "README.md"
# In the table's order.
BENCHES = (
    "main_job", "overhead", "reindex", "flat_cost", "scaling", "queue", "status_queries", "load", "search", "upload",
    "catalogs", "billed_time", "cold_import",
)  # fmt: skip
_BEGIN, _END = "<!-- made by `make bench` -->\n", "<!-- end -->\n"


def write_table() -> None:
    """Put the table into README."""
    README.write_text(with_table(README.read_text("utf-8"), read_results()), "utf-8")


def read_results() -> list[Figure]:
    """Return the figures of the last runs."""
    files = (RESULTS / f"{bench}.jsonl" for bench in BENCHES)
    return [read_figure(line) for file in files if file.exists() for line in file.read_text("utf-8").splitlines()]


def with_table(readme: str, figures: Sequence[Figure]) -> str:
    """Return the text with these figures between the two marks."""
    before, _, rest = readme.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}{_table(figures)}{_END}{after}"


def _table(figures: Sequence[Figure]) -> str:
    rows = [
        f"| {figure.figure} | {_number(figure.value)} {figure.unit} | {_bound(figure)} | {_beside(figure)} |\n"
        for figure in figures
    ]
    return "".join(
        ["| | Opdex | bound | others, in the same run |\n", "|---|---|---|---|\n", *rows, "\n", _taken(figures), "\n"]
    )


def _bound(figure: Figure) -> str:
    bounds = [("≥", figure.at_least), ("≤", figure.at_most)]
    if figure.at_least == figure.at_most:
        bounds = [("=", figure.at_most)]
    said = ", ".join(f"{sign} {_number(value)}" for sign, value in bounds if value is not None)
    return said if figure.holds else f"{said}: missed"


def _beside(figure: Figure) -> str:
    return ", ".join(f"{name}: {_number(value)}" for name, value in figure.beside.items())


def _number(value: float) -> str:
    """Return three digits, and no more than there are."""
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def _taken(figures: Sequence[Figure]) -> str:
    """Say when and on what; where the figures are of several runs, of each."""
    said = "Taken on {date}, commit {commit}: {processor}, {cores} cores, {memory_gib} GiB, Postgres {postgres}."
    return "\n".join(sorted({said.format(**figure.run) for figure in figures}))
