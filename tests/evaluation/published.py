"""The figures to stand beside: the baselines that the corpus has, and the recipe's, in recipe.tsv."""

import csv
from pathlib import Path

from tests.evaluation.scores import METRICS
from tests.evaluation.verdicts import Published

_BASELINES = Path("queries") / "BASELINES.tsv"  # in a corpus
_RECIPE = Path(__file__).with_name("recipe.tsv")
_POOLED = "wapiibench, all four (pooled, 395)"


def read_baselines(corpus: Path) -> Published:
    """Return, by the name of a run and by method, what the baselines reach; {} where the corpus has none."""
    file = corpus / _BASELINES
    return _read(file) if file.is_file() else {}


def read_recipe() -> Published:
    """Return, by the name of a run and by column, what the recipe reaches."""
    return _read(_RECIPE)


def _read(table: Path) -> Published:
    figures: dict[str, dict[str, dict[str, float]]] = {}
    with table.open(encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            reached = {metric: float(row[metric]) for metric in METRICS}
            figures.setdefault(_run_of(row["set"]), {})[row["method"]] = reached
    return figures


def _run_of(name: str) -> str:
    if name == _POOLED:
        return "wapiibench (pooled)"
    return "toolalpaca (pooled)" if name.startswith("toolalpaca") else name
