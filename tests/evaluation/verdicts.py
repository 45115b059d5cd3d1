"""What is promised of the hybrid ranking, each with whether the figures keep it."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from tests.evaluation.intervals import Interval, interval, paired
from tests.evaluation.scores import Figures, Scores, column

JUDGED = ("nDCG@10", "R@5")
MOST_UNDER_RECIPE = 0.015

type Outcome = Literal["kept", "level", "NOT KEPT", "NOT JUDGED"]
type Published = Mapping[str, Mapping[str, Figures]]  # by section, and by method or column


@dataclass(frozen=True, slots=True)
class Verdict:
    """One promise, of one section of the table. ``level``: it is not above, but by no more than the interval, so
    nothing is claimed."""

    section: str
    promise: str
    outcome: Outcome
    said: str

    def __str__(self) -> str:
        return f"{self.outcome:11}{self.section:41}{self.promise:44}{self.said}"


def gaps(sections: Mapping[str, Collection[str]], baselines: Published, recipe: Published) -> Iterator[Verdict]:
    """Yield what is not judged for want of figures. ``sections``: the sets of each, as the corpus has them."""
    if not baselines:
        yield Verdict("all", "not below the best baseline", "NOT JUDGED", "no queries/BASELINES.tsv in the corpus")
    published = baselines.keys() | recipe.keys()
    for name in sorted(published - sections.keys()):
        yield Verdict(name, "published figures", "NOT JUDGED", "no section of this name")
    judged = {name for section in published & sections.keys() for name in sections[section]}
    for name in sorted({name for sets in sections.values() for name in sets} - judged):
        yield Verdict(name, "published figures", "NOT JUDGED", "none are of these queries")


def verdicts(
    section: str,
    hybrid: Scores,
    plain: Scores,
    baselines: Mapping[str, Figures],
    recipe: Figures,
    *,
    is_pooled: bool,
) -> Iterator[Verdict]:
    """Yield the verdicts on one section. ``plain``: the fusion by reciprocal rank; ``recipe``: {} where it says none.

    Against ``plain`` the queries are compared one by one. Of the baselines only the means are known: the interval is
    that of the hybrid mean, as if theirs were exact, which is the harder test.
    """
    for metric in JUDGED:
        reached = interval(column(hybrid, metric))
        if recipe:
            is_near = reached.mean >= recipe[metric] - MOST_UNDER_RECIPE
            said = f"{reached.mean:.3f}, the recipe {recipe[metric]:.3f}"
            yield Verdict(section, f"{metric} near the recipe", "kept" if is_near else "NOT KEPT", said)
        over = paired(column(hybrid, metric), column(plain, metric))
        yield Verdict(section, f"{metric} above RRF", _above(over), f"{_plainly(over)}, paired")
        if not baselines:
            continue
        best = max(baselines, key=lambda method: baselines[method][metric])
        over = reached.less(baselines[best][metric])
        said = f"{_plainly(over)} to {best}, unpaired"
        if is_pooled:
            outcome: Outcome = "kept" if over.mean > 0 else "NOT KEPT"
            yield Verdict(section, f"{metric} strictly above the best baseline", outcome, said)
        else:
            yield Verdict(section, f"{metric} not below the best baseline", _above(over), said)


def _above(over: Interval) -> Outcome:
    if over.mean > 0:
        return "kept"
    return "level" if over.high >= 0 else "NOT KEPT"


def _plainly(over: Interval) -> str:
    return str(over) if over.mean > 0 else f"not above: {over}"
