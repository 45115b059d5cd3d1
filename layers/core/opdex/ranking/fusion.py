"""Fusion: from what each channel says of an operation and a clause to the probability that the operation is wanted.

L(d, c) = ½ [cos(d, c) / T + w · bm25(d, c) / max_d bm25(d, c) + v · names(d, c) + h · hint(d, c)]; for each clause c,
the whole query among them, a softmax over the operations d; s(d) = Σ_c softmax(L) + 10⁻³ · mean_c softmax(L / 4); p =
s / Σ s. The temperatures and weights lie in a flat region that was measured: docs/decisions.md.
"""

import numpy as np
from numpy.typing import NDArray

TEMPERATURE = 0.05
LEXICAL, NAMES, HINT = 5.0, 2.0, 0.75
FLAT = 4.0  # a second, flatter softmax decides between those that the first leaves at nothing
FLAT_SHARE = 1e-3

type Columns = NDArray[np.float32]  # a row an operation, a column a clause


def log_odds(cosine: Columns | None, words: Columns | None, names: Columns | None, shape: tuple[int, int]) -> Columns:
    """Return L without the hint; None leaves a part out. ``words`` is scaled to 1 at each clause's best."""
    parts: list[NDArray[np.floating]] = [np.zeros(shape, np.float32)]
    if cosine is not None:
        parts.append(cosine / TEMPERATURE)
    if words is not None:
        best = words.max(axis=0, initial=0)
        parts.append(LEXICAL * np.divide(words, best, out=np.zeros_like(words), where=best > 0))
    if names is not None:
        parts.append(NAMES * names)
    odds: Columns = (0.5 * np.sum(parts, axis=0)).astype(np.float32)
    return odds


def hinted(odds: Columns, hint: Columns) -> Columns:
    """Return L with the method hint."""
    return odds + 0.5 * HINT * hint


def probabilities(odds: Columns) -> NDArray[np.float64]:
    """Return the probability of each operation; their sum is 1."""
    score = softmax(odds).sum(axis=1) + FLAT_SHARE * softmax(odds / FLAT).mean(axis=1)
    total: NDArray[np.float64] = score / score.sum()
    return total


def softmax(odds: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the softmax over the first axis."""
    raised = np.exp(odds.astype(np.float64) - odds.max(axis=0, initial=-np.inf))
    shares: NDArray[np.float64] = raised / raised.sum(axis=0)
    return shares
