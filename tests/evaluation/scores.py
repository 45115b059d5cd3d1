"""Scores of what was ranked, by the corpus' own scorer."""

import importlib.util
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

METRICS = ("R@5", "R@10", "R@20", "MRR", "nDCG@10")

type Figures = Mapping[str, float]  # by metric
type Scores = list[dict[str, float]]  # those of each query, in the order of the run


class Scorer:
    """The scorer that the corpus has."""

    def __init__(self, corpus: Path) -> None:
        spec = importlib.util.spec_from_file_location("score", corpus / "score.py")
        assert spec is not None
        assert spec.loader is not None
        self._module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self._module)
        self._queries = corpus / "queries"
        self._gold: dict[str, list[dict[str, Any]]] = {}

    def scores(self, lines: Iterable[Mapping[str, Any]]) -> Scores:
        """Return the metrics of each line."""
        return [self._one(line) for line in lines]

    def _one(self, line: Mapping[str, Any]) -> dict[str, float]:
        name = line["set"]
        if name not in self._gold:
            self._gold[name] = self._module.read_jsonl(self._queries / f"{name}.jsonl")
        query = self._gold[name][line["query_index"]]
        prefix = f"{query['spec']}::" if line["pooled"] else ""
        gold = {prefix + self._module.norm(operation) for operation in query["gold"]}
        scored: dict[str, float] = self._module.one(gold, [self._module.key(entry) for entry in line["ranked"]])
        return scored


def column(scores: Scores, metric: str) -> list[float]:
    """Return one metric of each query."""
    return [score[metric] for score in scores]


def means(scores: Scores) -> dict[str, float]:
    """Return the mean of each metric."""
    return {metric: fmean(column(scores, metric)) for metric in METRICS}
