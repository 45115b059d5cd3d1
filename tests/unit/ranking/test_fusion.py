import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opdex.ranking.fusion import hinted, log_odds, probabilities, softmax
from tests.unit.ranking.documents import few

_ODDS = st.lists(st.lists(st.floats(-100, 100), min_size=2, max_size=2), min_size=1, max_size=5)


def test_odds_are_those_of_the_formula() -> None:
    cosine, words = np.array([[0.6], [0.2]], np.float32), np.array([[3.0], [6.0]], np.float32)
    names = np.array([[1.0], [0.0]], np.float32)
    odds = log_odds(cosine, words, names, (2, 1))
    assert odds[:, 0].tolist() == pytest.approx([(0.6 / 0.05 + 5 * 0.5 + 2) / 2, (0.2 / 0.05 + 5) / 2])
    with_hint = hinted(odds, np.array([[1.0], [-2.0]], np.float32))
    assert (with_hint - odds)[:, 0].tolist() == pytest.approx([0.375, -0.75])


def test_odds_are_nothing_when_every_part_is_left_out() -> None:
    assert log_odds(None, None, None, (2, 3)).tolist() == [[0, 0, 0], [0, 0, 0]]


def test_words_say_nothing_when_no_operation_has_one() -> None:
    assert log_odds(None, np.zeros((2, 1), np.float32), None, (2, 1)).tolist() == [[0], [0]]


def test_probability_is_that_of_the_formula() -> None:
    odds = [[2.0, 0.0], [0.0, 1.0]]
    sharp = [math.exp(2) / (math.exp(2) + 1) + 1 / (1 + math.e), 1 / (math.exp(2) + 1) + math.e / (1 + math.e)]
    flat = [
        (math.exp(0.5) / (math.exp(0.5) + 1) + 1 / (1 + math.exp(0.25))) / 2,
        (1 / (math.exp(0.5) + 1) + math.exp(0.25) / (1 + math.exp(0.25))) / 2,
    ]
    scores = [of_sharp + 1e-3 * of_flat for of_sharp, of_flat in zip(sharp, flat, strict=True)]
    expected = [score / sum(scores) for score in scores]
    assert probabilities(np.array(odds, np.float32)).tolist() == pytest.approx(expected, rel=1e-6)


@few
@given(_ODDS)
def test_probabilities_are_a_distribution_when_odds_are_far_apart(odds: list[list[float]]) -> None:
    probability = probabilities(np.array(odds, np.float32))
    assert (probability >= 0).all()
    assert probability.sum() == pytest.approx(1)


@few
@given(_ODDS, st.floats(-50, 50))
def test_softmax_is_the_same_when_all_odds_are_moved(odds: list[list[float]], by: float) -> None:
    shares = softmax(np.array(odds))
    assert shares.sum(axis=0) == pytest.approx([1, 1])
    assert softmax(np.array(odds) + by) == pytest.approx(shares)
