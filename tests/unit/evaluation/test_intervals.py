import pytest

from tests.evaluation.intervals import Interval, interval, paired


def test_interval_holds_the_mean_and_narrows_when_there_are_more_queries() -> None:
    few, many = interval([0.0, 1.0] * 10), interval([0.0, 1.0] * 1000)

    assert few.mean == many.mean == 0.5
    assert few.low < many.low < 0.5 < many.high < few.high
    # The normal approximation: 1.96 · 0.5 / √n.
    assert (many.low, many.high) == pytest.approx((0.478, 0.522), abs=0.002)


def test_interval_is_the_same_when_it_is_drawn_again() -> None:
    assert interval([0.1, 0.9, 0.4]) == interval([0.1, 0.9, 0.4])


def test_pairs_show_a_difference_when_means_alone_would_not() -> None:
    values = [number / 50 for number in range(50)]
    others = [value - 0.01 for value in values]

    difference = paired(values, others)

    assert (difference.low, difference.high) == pytest.approx((0.01, 0.01))
    assert interval(values).low < interval(others).high
    with pytest.raises(ValueError, match="shorter"):
        paired(values, others[1:])


def test_interval_moves_as_a_whole_when_a_figure_is_taken_away() -> None:
    less = interval([0.5, 0.75]).less(0.5)

    assert (less.low, less.mean, less.high) == (0.0, 0.125, 0.25)
    assert str(Interval(0.1, -0.05, 0.2)) == "+0.100 [-0.050, +0.200]"
