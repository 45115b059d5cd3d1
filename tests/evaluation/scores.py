"""Scores of what was ranked, by the corpus' own scorer, with intervals by bootstrap."""

import importlib.util
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

METRICS = ("R@5", "R@10", "R@20", "MRR", "nDCG@10")
_SAMPLES = 2000

type Scores = list[dict[str, float]]  # one a query, in the order of the run


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


def means(scores: Scores) -> dict[str, float]:
    """Return the mean of each metric."""
    return {metric: mean(score[metric] for score in scores) for metric in METRICS}


def interval(values: Sequence[float], seed: int = 1) -> tuple[float, float]:
    """Return the 95 % interval of a mean, by bootstrap; of differences of pairs it is that of the paired difference."""
    draw = random.Random(seed)
    drawn = sorted(mean(draw.choices(values, k=len(values))) for _ in range(_SAMPLES))
    return drawn[int(_SAMPLES * 0.025)], drawn[int(_SAMPLES * 0.975) - 1]
