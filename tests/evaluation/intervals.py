"""Intervals of means and of paired differences: 95 %, by bootstrap over the queries, drawn alike at each run."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SAMPLES, SEED = 10_000, 1
_DRAWN_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean, and where 95 % of the means of samples drawn with replacement lie."""

    mean: float
    low: float
    high: float

    def less(self, figure: float) -> "Interval":
        """Return that of the difference to a mean whose queries are not known: unpaired, as if it were exact."""
        return Interval(self.mean - figure, self.low - figure, self.high - figure)

    def __str__(self) -> str:
        return f"{self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def interval(values: Sequence[float]) -> Interval:
    """Return the interval of the mean of one value a query."""
    known, draw = np.array(values, np.float64), np.random.default_rng(SEED)
    drawn = np.concatenate([
        known[draw.integers(0, len(known), (_DRAWN_AT_ONCE, len(known)))].mean(axis=1)
        for _ in range(SAMPLES // _DRAWN_AT_ONCE)
    ])  # fmt: skip
    low, high = np.percentile(drawn, (2.5, 97.5))
    return Interval(float(known.mean()), float(low), float(high))


def paired(values: Sequence[float], others: Sequence[float]) -> Interval:
    """Return the interval of how much the values are above the others, query by query."""
    return interval([value - other for value, other in zip(values, others, strict=True)])
