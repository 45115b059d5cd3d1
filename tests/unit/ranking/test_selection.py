import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from opdex.ranking.selection import greatest


@given(st.lists(st.integers(-2, 2), max_size=12), st.integers(1, 13))
def test_greatest_are_the_first_of_a_stable_order(values: list[int], count: int) -> None:
    found = greatest(np.array(values, np.float32), count)
    assert sorted(found.tolist()) == sorted(np.argsort(-np.array(values), kind="stable")[:count].tolist())
