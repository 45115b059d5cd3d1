import math

import numpy as np
import pytest
from numpy.typing import NDArray

from opdex.ranking.graph import BEST, MOST_ROWS, best_rows, holds_id, pass_on


@pytest.mark.parametrize(
    "query",
    ["cancel order 1234", "the user with id 7", "by gid", "its UUID", "these ids", "delete abc123x", "task a1b2c3-d4"],
)
def test_query_holds_an_id_when_it_names_one(query: str) -> None:
    assert holds_id(query)


@pytest.mark.parametrize(
    "query", ["cancel my order", "the last 123 orders", "identify me", "did it", "", "v2 a1b", "-------"]
)
def test_query_holds_no_id_when_it_names_none(query: str) -> None:
    assert not holds_id(query)


def test_best_rows_are_in_their_order_when_they_are_equal() -> None:
    assert best_rows(np.array([0.1, 0.4, 0.1, 0.4]), _texts(4)) == [1, 3, 0, 2]
    assert best_rows(np.zeros(50), _texts(50)) == list(range(BEST))


def test_best_rows_are_those_of_the_best_texts_when_there_are_copies() -> None:
    copies = np.tile(_texts(30), 5)
    probability = np.tile(np.linspace(1, 0.1, 30), 5)
    rows = best_rows(probability, copies)
    assert len(rows) == 5 * BEST
    assert set(copies[rows]) == set(range(BEST))
    assert rows[:6] == [0, 30, 60, 90, 120, 1]


def test_best_rows_are_bounded_when_there_are_many_copies() -> None:
    assert best_rows(np.zeros(1_000), np.zeros(1_000, np.uint64)) == list(range(MOST_ROWS))
    assert best_rows(np.zeros(0), _texts(0)) == []


def _texts(rows: int) -> NDArray[np.uint64]:
    return np.arange(rows, dtype=np.uint64)


@pytest.mark.parametrize(("query", "share"), [("cancel my order", 0.5), ("cancel order 1234", 0.1)])
def test_producers_share_what_the_formula_says(query: str, share: float) -> None:
    odds = np.array([[9.0, 0.0], [2.0, 4.0], [0.0, -1.0]], np.float32)
    passed = pass_on(query, np.array([0.8, 0.15, 0.05]), odds, [(0, [np.array([1, 2])]), (1, [])])
    first = math.e / (math.e + 1)
    assert [(giver, taker) for giver, taker, _ in passed] == [(0, 1), (0, 2)]
    assert [part for *_, part in passed] == pytest.approx([share * 0.8 * first, share * 0.8 * (1 - first)])


def test_each_need_is_passed_on_when_there_are_several() -> None:
    odds = np.zeros((3, 1), np.float32)
    passed = pass_on("q", np.array([0.6, 0.2, 0.2]), odds, [(0, [np.array([1]), np.array([1, 2])])])
    assert [(giver, taker) for giver, taker, _ in passed] == [(0, 1), (0, 1), (0, 2)]
    assert [part for *_, part in passed] == pytest.approx([0.3, 0.15, 0.15])
