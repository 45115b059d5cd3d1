"""``make eval``: ask the running service the query sets of a corpus, and print how good its answers are beside others.

Each line is one run and one ranking; after the hybrid ones stand the hybrid rankings without one of their parts, with
the 95 % interval of the paired difference in nDCG@10. OPDEX_CORPUS names the corpus; a service is started, unless
OPDEX_URL and OPDEX_KEY name one.
"""

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from opdex.ranking.parts import PARTS
from tests.e2e.system import started_system
from tests.evaluation.published import read_baselines, read_recipe
from tests.evaluation.query_sets import Run, plan_runs, read_query_sets
from tests.evaluation.scores import METRICS, Scorer, Scores, interval, means
from tests.evaluation.service import Service

_PROJECT = Path(__file__).parents[2]
_LEAVEABLE = tuple(part for part in PARTS if part not in ("lexical", "semantic"))
_RANKINGS: dict[str, Mapping[str, Any]] = {
    "lexical": {"ranking": "lexical"},
    "semantic": {"ranking": "semantic"},
    "hybrid": {"ranking": "hybrid"},
    **{f"without {part}": {"ranking": "hybrid", "without": part} for part in _LEAVEABLE},
}
_MOST_UNDER_RECIPE = 0.015
_NAME, _METHOD = 34, 22


def main() -> int:
    """Ask, print, and return 0 where the hybrid ranking keeps to what is promised of it."""
    corpus = Path(os.environ.get("OPDEX_CORPUS", "")).resolve()
    if not (corpus / "score.py").is_file():
        print("Set OPDEX_CORPUS to a corpus: a folder with score.py, queries/ and the documents that they name.")
        return 2
    sets = read_query_sets(corpus)
    scorer, baselines, recipe = Scorer(corpus), read_baselines(corpus), read_recipe(corpus)
    missed: list[str] = []
    with _service() as service, tempfile.TemporaryDirectory() as folder:
        service.store(corpus, sets)
        print(f"{'run':{_NAME}}{'ranking':{_METHOD}}{'queries':>8} " + " ".join(f"{m:>8}" for m in METRICS), flush=True)
        for run in plan_runs(sets):
            scores = {}
            for name, ranking in _RANKINGS.items():
                lines = [*service.ranked(run, ranking)]
                _keep(Path(os.environ.get("OPDEX_RANKED", folder)), run, name, lines)
                scores[name] = scorer.scores(lines)
                _print(run.name, name, means(scores[name]), len(lines), _difference(scores, name))
            published = {
                **baselines.get(run.name, {}),
                **{f"recipe {k}": v for k, v in recipe.get(run.name, {}).items()},
            }
            for method, figures in published.items():
                _print(run.name, method, figures)
            missed += _missed(run, scores["hybrid"], baselines.get(run.name, {}), recipe.get(run.name, {}))
    for problem in missed:
        print(f"MISSED {problem}")
    return bool(missed)


@contextmanager
def _service() -> Iterator[Service]:
    url, key = os.environ.get("OPDEX_URL"), os.environ.get("OPDEX_KEY")
    if url and key:
        yield Service(url, key)
        return
    with tempfile.TemporaryDirectory() as folder, started_system(Path(folder), project=_PROJECT) as system:
        yield Service(system.endpoint["url"], system.endpoint["api_key"])


def _keep(folder: Path, run: Run, ranking: str, lines: list[dict[str, Any]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{run.name} {ranking}.jsonl"
    file.write_text("".join(json.dumps({**line, "method": ranking}) + "\n" for line in lines))


def _print(run: str, method: str, figures: Mapping[str, float], queries: int | None = None, more: str = "") -> None:
    columns = " ".join(f"{figures[metric]:8.3f}" for metric in METRICS)
    print(f"{run:{_NAME}}{method:{_METHOD}}{queries or '':>8} {columns} {more}".rstrip(), flush=True)


def _difference(scores: Mapping[str, Scores], name: str) -> str:
    if not name.startswith("without"):
        return ""
    pairs = zip(scores[name], scores["hybrid"], strict=True)
    low, high = interval([part["nDCG@10"] - whole["nDCG@10"] for part, whole in pairs])
    return f"[{low:+.3f}, {high:+.3f}]"


def _missed(
    run: Run, hybrid: Scores, baselines: Mapping[str, Mapping[str, float]], recipe: Mapping[str, Mapping[str, float]]
) -> list[str]:
    reached, missed = means(hybrid), []
    for metric in ("nDCG@10", "R@5"):
        low, high = interval([score[metric] for score in hybrid])
        margin = reached[metric] - low
        best = max((figures[metric] for figures in baselines.values()), default=0.0)
        if reached[metric] < best - margin:
            missed.append(f"{run.name}: {metric} {reached[metric]:.3f} is under the best baseline {best:.3f} by more "
                          f"than its interval ({low:.3f} to {high:.3f})")  # fmt: skip
        if run.is_pooled and best and reached[metric] <= best and best < 1:
            missed.append(f"{run.name}: {metric} {reached[metric]:.3f} is not above the best baseline {best:.3f}")
        if not recipe:
            continue
        if reached[metric] < recipe["G"][metric] - _MOST_UNDER_RECIPE:
            missed.append(f"{run.name}: {metric} {reached[metric]:.3f} is under the recipe's {recipe['G'][metric]:.3f}")
    return missed


if __name__ == "__main__":
    sys.exit(main())
