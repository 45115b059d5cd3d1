"""README's performance table, made from the figures of the last `make bench`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.benchmarks.figures import RESULTS, Figure, read_figure

README = Path(__file__).parents[2] / "README.md"
# In the table's order.
BENCHES = (
    "main_job", "overhead", "reindex", "flat_cost", "scaling", "queue", "status_queries", "load", "search", "upload",
    "catalogs", "billed_time", "cold_import",
)  # fmt: skip
type Results = Mapping[str, Sequence[Figure]]  # by bench

_BEGIN, _END = "<!-- made by `make bench` -->\n", "<!-- end -->\n"


def write_table() -> None:
    """Put the table into README."""
    README.write_text(with_table(README.read_text("utf-8"), read_results()), "utf-8")


def read_results() -> Results:
    """Return the figures of the last run of each bench."""
    files = {bench: RESULTS / f"{bench}.jsonl" for bench in BENCHES}
    return {
        bench: [read_figure(line) for line in file.read_text("utf-8").splitlines()]
        for bench, file in files.items()
        if file.exists()
    }


def with_table(readme: str, results: Results) -> str:
    """Return the text with these figures between the two marks."""
    before, _, rest = readme.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}{_table(results)}{_END}{after}"


def _table(results: Results) -> str:
    rows = [
        f"| {'' if number else f'`{bench}`'} | {figure.figure} | {_number(figure.value)} {figure.unit} |"
        f" {_bound(figure)} | {_beside(figure)} |\n"
        for bench, figures in results.items()
        for number, figure in enumerate(figures)
    ]
    head = "| bench | | Opdex | bound | others, in the same run |\n|---|---|---|---|---|\n"
    return "".join([head, *rows, "\nTaken on:\n\n", *_taken(results)])


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


def _taken(results: Results) -> list[str]:
    """Say of each run when and on what it was, and of which benches it is the last."""
    said = "{date}, commit {commit}, {processor}, {cores} cores, {memory_gib} GiB, Postgres {postgres}"
    taken: dict[str, dict[str, None]] = {}
    for bench, figures in results.items():
        for figure in figures:
            taken.setdefault(said.format(**figure.run), {})[f"`{bench}`"] = None
    return [f"- {run}: {', '.join(benches)}\n" for run, benches in sorted(taken.items())]
