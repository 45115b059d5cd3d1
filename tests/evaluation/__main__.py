"""``make eval``: ask the running service the query sets of a corpus, and print how good its answers are beside others.

Each line is one section of the queries and one ranking; to the right stands its paired difference to hybrid in nDCG@10
with a 95 % interval. Then come the promises made of the hybrid ranking, kept or not; the status is 1 where one is not,
and 2 where one is not judged, since figures to stand beside are missing or are of other names.
OPDEX_CORPUS names the corpus; a service is started, unless OPDEX_URL and OPDEX_KEY name one.
"""

import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from opdex.ranking.parts import PARTS
from tests.e2e.system import started_system
from tests.evaluation import reciprocal_rank
from tests.evaluation.intervals import SAMPLES, SEED, paired
from tests.evaluation.published import read_baselines, read_recipe
from tests.evaluation.query_sets import Run, plan_runs, read_query_sets
from tests.evaluation.scores import METRICS, Figures, Scorer, column, means
from tests.evaluation.service import Service
from tests.evaluation.verdicts import Verdict, gaps, verdicts

_PROJECT = Path(__file__).parents[2]
_RANKINGS: dict[str, Mapping[str, Any]] = {
    "lexical": {"ranking": "lexical"},
    "semantic": {"ranking": "semantic"},
    "hybrid": {"ranking": "hybrid"},
    **{f"without {part}": {"ranking": "hybrid", "without": part} for part in PARTS},
}
_NAME, _METHOD = 40, 24

type _Lines = list[dict[str, Any]]


def main() -> int:
    """Ask, print, and return 0 where the hybrid ranking keeps to all that is promised of it."""
    corpus = Path(os.environ.get("OPDEX_CORPUS", "")).resolve()
    if not (corpus / "score.py").is_file():
        print("Set OPDEX_CORPUS to a corpus: docs/search.md says what such a folder holds.")
        return 2
    sets = read_query_sets(corpus)
    report = _Report(corpus)
    with _service() as service:
        service.store(corpus, sets)
        for run in plan_runs(sets):
            answers = [*service.ranked(run, _RANKINGS)]
            ranked = {name: [answer[name] for answer in answers] for name in _RANKINGS}
            ranked[reciprocal_rank.NAME] = [*reciprocal_rank.fused(ranked["lexical"], ranked["semantic"])]
            if folder := os.environ.get("OPDEX_RANKED"):
                _keep(Path(folder), run, ranked)
            report.add(run, ranked)
    return report.judge()


@contextmanager
def _service() -> Iterator[Service]:
    url, key = os.environ.get("OPDEX_URL"), os.environ.get("OPDEX_KEY")
    if url and key:
        yield Service(url, key)
        return
    with tempfile.TemporaryDirectory() as folder, started_system(Path(folder), project=_PROJECT) as system:
        yield Service(system.endpoint["url"], system.endpoint["api_key"])


def _keep(folder: Path, run: Run, ranked: Mapping[str, _Lines]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for method, lines in ranked.items():
        file = folder / f"{run.name} {method}.jsonl"
        file.write_text("".join(json.dumps({**line, "method": method}) + "\n" for line in lines))


class _Report:
    """The table as it is printed, and the verdicts on it."""

    def __init__(self, corpus: Path) -> None:
        self._scorer = Scorer(corpus)
        self._baselines, self._recipe = read_baselines(corpus), read_recipe()
        self._verdicts: list[Verdict] = []
        self._sections: dict[str, set[str]] = {}
        columns = " ".join(f"{metric:>8}" for metric in METRICS)
        print(f"{'':{_NAME}}{'ranking':{_METHOD}}{'queries':>8} {columns}  nDCG@10 to hybrid, paired", flush=True)

    def add(self, run: Run, ranked: Mapping[str, _Lines]) -> None:
        """Print and judge the sections of a run."""
        for section, sets in run.sections:
            names = self._sections[section] = {queries.name for queries in sets}
            scores = {
                method: self._scorer.scores(line for line in lines if line["set"] in names)
                for method, lines in ranked.items()
            }
            hybrid = scores["hybrid"]
            for method, reached in scores.items():
                over = paired(column(reached, "nDCG@10"), column(hybrid, "nDCG@10"))
                _print(section, method, means(reached), len(reached), "" if method == "hybrid" else str(over))
            baselines, recipe = self._baselines.get(section, {}), self._recipe.get(section, {})
            for method, figures in baselines.items():
                _print(section, f"[{method}]", figures)
            for name, figures in recipe.items():
                _print(section, f"[recipe's {name}]", figures)
            self._verdicts += verdicts(
                section,
                hybrid,
                scores[reciprocal_rank.NAME],
                baselines,
                recipe.get("G", {}),
                is_pooled=run.is_pooled and section == run.name,
            )

    def judge(self) -> int:
        """Print the verdicts; return 0 where all promises are kept, 1 where one is not, 2 where one is not judged."""
        print(f"\nIntervals: 95 %, bootstrap over the queries, {SAMPLES:,} samples, seed {SEED}.")
        told = [*self._verdicts, *gaps(self._sections, self._baselines, self._recipe)]
        for verdict in told:
            print(verdict)
        counts = Counter(verdict.outcome for verdict in told)
        print(", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items())))
        return 1 if counts["NOT KEPT"] else 2 if counts["NOT JUDGED"] else 0


def _print(section: str, method: str, figures: Figures, queries: int | None = None, more: str = "") -> None:
    columns = " ".join(f"{figures[metric]:8.3f}" for metric in METRICS)
    print(f"{section:{_NAME}}{method:{_METHOD}}{queries or '':>8} {columns}  {more}".rstrip(), flush=True)


if __name__ == "__main__":
    sys.exit(main())
