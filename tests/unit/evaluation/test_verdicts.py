from collections.abc import Mapping
from typing import Any

import pytest

from tests.evaluation.scores import METRICS, Figures, Scores
from tests.evaluation.verdicts import gaps, verdicts


def _scores(*values: float) -> Scores:
    return [dict.fromkeys(METRICS, value) for value in values]


def _figures(value: float) -> Figures:
    return dict.fromkeys(METRICS, value)


def _judged(hybrid: Scores, plain: Scores, **said: Any) -> Mapping[str, str]:
    asked = {"baselines": {}, "recipe": {}, "is_pooled": False, **said}
    given = [*verdicts("pets", hybrid, plain, asked["baselines"], asked["recipe"], is_pooled=asked["is_pooled"])]
    by_promise = {verdict.promise.partition(" ")[2]: verdict.outcome for verdict in given}
    assert [verdict.outcome for verdict in given] == [*by_promise.values()] * 2  # each of two metrics
    return by_promise


_HALF, _NONE = _scores(0.0, 1.0) * 20, _scores(0.0) * 40


@pytest.mark.parametrize(("figure", "outcome"), [(0.4, "kept"), (0.515, "kept"), (0.516, "NOT KEPT")])
def test_recipe_is_kept_to_when_hybrid_is_a_point_and_a_half_under_it_at_most(figure: float, outcome: str) -> None:
    assert _judged(_HALF, _NONE, recipe=_figures(figure)) == {"near the recipe": outcome, "above RRF": "kept"}


@pytest.mark.parametrize(
    ("plain", "outcome"),
    [
        (_scores(0.0, 0.9) * 20, "kept"),
        (_HALF, "level"),
        (_scores(0.0, 1.0) * 19 + _scores(1.0, 1.0), "level"),
        (_scores(0.1, 1.0) * 20, "NOT KEPT"),
    ],
)
def test_nothing_is_claimed_when_plain_fusion_finds_as_much(plain: Scores, outcome: str) -> None:
    assert _judged(_HALF, plain) == {"above RRF": outcome}


@pytest.mark.parametrize(
    ("best", "alone", "pooled"),
    [(0.4, "kept", "kept"), (0.5, "level", "NOT KEPT"), (0.6, "level", "NOT KEPT"), (0.8, "NOT KEPT", "NOT KEPT")],
)
def test_best_baseline_counts_when_a_set_has_several(best: float, alone: str, pooled: str) -> None:
    said = {"baselines": {"poor": _figures(0.1), "good": _figures(best)}}

    assert _judged(_HALF, _NONE, **said)["not below the best baseline"] == alone
    assert _judged(_HALF, _NONE, **said, is_pooled=True)["strictly above the best baseline"] == pooled


def test_verdict_says_what_is_compared_and_how() -> None:
    lines = map(str, verdicts("pets", _HALF, _HALF, {"BM25": _figures(0.5)}, _figures(0.9), is_pooled=False))

    assert [" ".join(line.split()) for line in lines][:3] == [
        "NOT KEPT pets nDCG@10 near the recipe 0.500, the recipe 0.900",
        "level pets nDCG@10 above RRF not above: +0.000 [+0.000, +0.000], paired",
        "level pets nDCG@10 not below the best baseline not above: +0.000 [-0.150, +0.150] to BM25, unpaired",
    ]


def test_nothing_is_missing_when_each_set_has_published_figures() -> None:
    sections = {"pets": {"pets"}, "cars": {"cars"}, "all (pooled)": {"pets", "cars"}}
    figures = {"one": _figures(0.5)}
    assert [*gaps(sections, {"pets": figures}, {"all (pooled)": figures})] == []


def test_gap_is_told_when_figures_are_of_other_names() -> None:
    sections = {"pets": {"pets"}, "cars": {"cars"}}

    lines = [" ".join(str(verdict).split()) for verdict in gaps(sections, {"Cars": {"BM25": _figures(0.5)}}, {})]

    assert lines == [
        "NOT JUDGED Cars published figures no section of this name",
        "NOT JUDGED cars published figures none are of these queries",
        "NOT JUDGED pets published figures none are of these queries",
    ]


def test_gap_is_told_when_the_corpus_has_no_baselines() -> None:
    (told,) = gaps({"pets": {"pets"}}, {}, {"pets": {"G": _figures(0.5)}})

    assert told.outcome == "NOT JUDGED"
    assert told.said == "no queries/BASELINES.tsv in the corpus"
