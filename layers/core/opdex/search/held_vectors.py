"""The vectors of what is searched again and again, held while a function is warm: Postgres is not asked for cosines."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opdex.search.segment_cache import Edition

type Vectors = NDArray[np.float32]  # a row an operation; NaN where one has no vector

# A forced re-index makes the vectors of a text anew for all that share it, of which only its own spec tells.
_MOST_SECONDS = 600.0
_MOST_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Publication:
    """What search finds of a spec by its vectors. ``version`` is another one after each publication."""

    model_id: int
    edition: Edition
    version: str


class HeldVectors:
    """Vectors by their publication; the least used go where they take more than ``max_bytes``.

    Reading them takes as long as a few searches without: they are due when asked for a second time. Not for use by two
    threads at once.
    """

    def __init__(self, max_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.max_bytes = max_bytes
        self._clock = clock
        self._asked: OrderedDict[Publication, None] = OrderedDict()
        self._held: OrderedDict[Publication, tuple[float, Vectors]] = OrderedDict()

    def of(self, publication: Publication) -> Vectors | None:
        """Return the vectors; None where they are not held, or were for long."""
        if publication not in self._held:
            return None
        held_at, vectors = self._held[publication]
        if self._clock() - held_at >= _MOST_SECONDS:
            del self._held[publication]
            return None
        self._held.move_to_end(publication)
        return vectors

    def is_due(self, publication: Publication) -> bool:
        """Return whether this was asked before, and remember that it was asked."""
        is_due = publication in self._asked
        self._asked[publication] = None
        self._asked.move_to_end(publication)
        if len(self._asked) > _MOST_REMEMBERED:
            self._asked.popitem(last=False)
        return is_due

    def hold(self, publication: Publication, vectors: Vectors) -> None:
        """Hold the vectors, as they are now."""
        self._held[publication] = self._clock(), vectors
        size = sum(held.nbytes for _, held in self._held.values())
        while size > self.max_bytes:
            size -= self._held.popitem(last=False)[1][1].nbytes
