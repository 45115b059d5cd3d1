"""The vectors of queries, each text embedded once while a function is warm."""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from opdex.embedding.contract import Embedder, ModelIdentity, Vector

_MOST = 2_000
_MOST_BYTES = 8 * 1024 * 1024
# As long as stored vectors are held: a model may be swapped under its name, and all be embedded again.
_MOST_SECONDS = 600.0

type _Key = tuple[ModelIdentity, str]


class QueryVectors:
    """Remembers the vectors of the texts last asked for, for ten minutes. Not for use by two threads at once."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: OrderedDict[_Key, tuple[float, NDArray[np.float32]]] = OrderedDict()
        self._bytes = 0

    def of(self, embedder: Embedder, texts: Sequence[str]) -> list[Vector]:
        """Return one vector a text, in order, in the precision of stored ones.

        What is not remembered is embedded in one call; all is, where the model's dimension has changed since. Raises
        ProviderError.
        """
        keys = [(embedder.identity, text) for text in texts]
        self._embed(embedder, [key for key in dict.fromkeys(keys) if not self._is_fresh(key)])
        if len({len(self._known[key][1]) for key in keys}) > 1:
            self._embed(embedder, list(dict.fromkeys(keys)))
        for key in keys:
            self._known.move_to_end(key)
        found: list[Vector] = [self._known[key][1].tolist() for key in keys]
        while len(self._known) > _MOST or self._bytes > _MOST_BYTES:
            self._forget(next(iter(self._known)))
        return found

    def forget(self, identity: ModelIdentity, texts: Sequence[str]) -> None:
        """Forget the vectors of these texts, which turned out to be of no use."""
        for key in {(identity, text) for text in texts} & self._known.keys():
            self._forget(key)

    def _embed(self, embedder: Embedder, keys: Sequence[_Key]) -> None:
        if not keys:
            return
        vectors = embedder.embed_queries([text for _, text in keys])
        embedded_at = self._clock()
        for key, vector in zip(keys, vectors, strict=True):
            self._remember(key, embedded_at, np.array(vector, np.float32))

    def _is_fresh(self, key: _Key) -> bool:
        return key in self._known and self._clock() - self._known[key][0] < _MOST_SECONDS

    def _remember(self, key: _Key, embedded_at: float, vector: NDArray[np.float32]) -> None:
        if key in self._known:
            self._forget(key)
        self._known[key] = embedded_at, vector
        self._bytes += vector.nbytes

    def _forget(self, key: _Key) -> None:
        self._bytes -= self._known.pop(key)[1].nbytes
