"""The greatest of many values, without sorting them all."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def greatest(values: NDArray[np.floating[Any]], count: int) -> NDArray[np.intp]:
    """Return the places of the greatest values, so many of them, in any order; of equal ones the first are taken."""
    if len(values) <= count:
        return np.arange(len(values))
    least = -np.partition(-values, count - 1)[count - 1]
    above = np.flatnonzero(values > least)
    return np.concatenate([above, np.flatnonzero(values == least)[: count - len(above)]])
