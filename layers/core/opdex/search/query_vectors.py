"""The vectors of queries, each text embedded once while a function is warm."""

from collections import OrderedDict
from collections.abc import Sequence

from opdex.embedding.contract import Embedder, ModelIdentity, Vector

_MOST = 2_000


class QueryVectors:
    """Remembers the vectors of the texts last asked for. Not for use by two threads at once."""

    def __init__(self) -> None:
        self._vectors: OrderedDict[tuple[ModelIdentity, str], Vector] = OrderedDict()

    def of(self, embedder: Embedder, texts: Sequence[str]) -> list[Vector]:
        """Return one vector a text, in order; what is not remembered is embedded in one call. Raises ProviderError."""
        keys = [(embedder.identity, text) for text in texts]
        missing = list(dict.fromkeys(key for key in keys if key not in self._vectors))
        if missing:
            vectors = embedder.embed_queries([text for _, text in missing])
            self._vectors.update(zip(missing, vectors, strict=True))
        for key in keys:
            self._vectors.move_to_end(key)
        found = [self._vectors[key] for key in keys]
        while len(self._vectors) > _MOST:
            self._vectors.popitem(last=False)
        return found
