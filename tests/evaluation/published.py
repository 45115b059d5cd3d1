"""The figures to stand beside: the corpus' baselines, and the table of the recipe where it is at hand."""

import csv
import re
from pathlib import Path

_RECIPE_COLUMNS = ("RRF", "H", "G")
_RECIPE_METRICS = ("R@5", "R@10", "R@20", "MRR", "nDCG@10")
_POOLED = "wapiibench, all four (pooled, 395)"


def read_baselines(corpus: Path) -> dict[str, dict[str, dict[str, float]]]:
    """Return, by the name of a run and by method, what the baselines reach."""
    baselines: dict[str, dict[str, dict[str, float]]] = {}
    with (corpus / "queries" / "BASELINES.tsv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            figures = {metric: float(row[metric]) for metric in _RECIPE_METRICS}
            name = "wapiibench (pooled)" if row["set"] == _POOLED else row["set"]
            name = "toolalpaca (pooled)" if name.startswith("toolalpaca") else name
            baselines.setdefault(name, {})[row["method"]] = figures
    return baselines


def read_recipe(corpus: Path) -> dict[str, dict[str, dict[str, float]]]:
    """Return, by the name of a run and by column, what the recipe's table says; {} where the recipe is not there."""
    recipe = corpus.parent / "SEARCH.md"
    if not recipe.is_file():
        return {}
    rows: dict[str, dict[str, dict[str, float]]] = {}
    for line in recipe.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != 1 + len(_RECIPE_COLUMNS) or not re.fullmatch(r"[\d.]+(/[\d.]+){4}", cells[1]):
            continue
        columns: dict[str, dict[str, float]] = {}
        for column, cell in zip(_RECIPE_COLUMNS, cells[1:], strict=True):
            figures = list(columns.values())[-1] if cell == "the same" else None
            columns[column] = figures or dict(zip(_RECIPE_METRICS, map(float, cell.split("/")), strict=True))
        rows[_run_of(cells[0])] = columns
    return rows


def _run_of(row: str) -> str:
    names = {
        "wapiibench calendar": "wapiibench_google_calendar_v3",
        "socbench": "socbench_d",
        "wapiibench pooled": "wapiibench (pooled)",
        "toolalpaca pooled": "toolalpaca (pooled)",
    }
    return names.get(row, row.replace(" ", "_"))
