"""The vectors of what is searched again and again, held while a function is warm: Postgres is not asked for cosines."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opdex.catalog.segments import Origin

type Vectors = NDArray[np.float32]  # a row an operation; NaN where one has no vector

# A forced re-index makes the vectors of a text anew for all that share it, of which only its own spec tells.
_MOST_SECONDS = 600.0
# Of the whole, for one publication: reading a larger one would take more memory than it is worth.
_LARGEST = 1 / 8
_MOST_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Publication:
    """What search finds of a spec by its vectors. ``version`` is another one after each publication."""

    model_id: int
    origin: Origin
    version: str


class HeldVectors:
    """Vectors by their publication; the least used go where they take more than ``max_bytes``.

    Reading them takes as long as a few searches without: they are read when asked for a second time. Not for use by two
    threads at once.
    """

    def __init__(self, max_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_bytes = max_bytes
        self._clock = clock
        self._asked: OrderedDict[Publication, None] = OrderedDict()
        self._held: OrderedDict[Publication, tuple[float, Vectors]] = OrderedDict()

    def of(self, publication: Publication, size: int, read: Callable[[], Vectors]) -> Vectors | None:
        """Return the vectors, by ``read`` where they are not held; None where they are not to be, yet or ever.

        ``size``: the bytes that they take.
        """
        if size > self._max_bytes * _LARGEST or not self._was_asked(publication):
            return None
        read_at, vectors = self._held.get(publication) or (-_MOST_SECONDS, None)
        if vectors is None or self._clock() - read_at >= _MOST_SECONDS:
            read_at, vectors = self._clock(), read()
        self._held[publication] = read_at, vectors
        self._held.move_to_end(publication)
        self._evict()
        return vectors

    def _was_asked(self, publication: Publication) -> bool:
        if publication in self._asked:
            self._asked.move_to_end(publication)
            return True
        self._asked[publication] = None
        if len(self._asked) > _MOST_REMEMBERED:
            self._asked.popitem(last=False)
        return False

    def _evict(self) -> None:
        size = sum(vectors.nbytes for _, vectors in self._held.values())
        while size > self._max_bytes:
            size -= self._held.popitem(last=False)[1][1].nbytes
