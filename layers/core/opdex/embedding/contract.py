"""What an embedding provider is to the rest of Opdex."""

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from opdex.errors import ProviderMisbehaved

type Vector = list[float]


class BatchLimits(NamedTuple):
    """The most that one call may carry; a single text may be longer than ``max_characters``."""

    max_texts: int
    max_characters: int


class ModelIdentity(NamedTuple):
    """What a stored vector belongs to, beside its text hash."""

    provider: str
    model: str


class Embedder(Protocol):
    """Turns texts into vectors. Its calls raise nothing but ProviderError, and may be made from several threads."""

    @property
    def provider(self) -> str:
        """The provider's name, which is also the key of its cool-down."""

    @property
    def model(self) -> str:
        """The model's name."""

    @property
    def identity(self) -> ModelIdentity:
        """Provider and model as one value."""

    @property
    def calls_in_flight(self) -> int:
        """How many calls at most are worth having under way at once."""

    @property
    def batch_limits(self) -> BatchLimits:
        """What the next call may carry. Ask before each: a provider may turn out to take less than it seemed to."""

    def embed(self, texts: Sequence[str], timeout: float) -> list[Vector]:
        """Return one vector a text, in order, of length 1 and equal dimension. ``timeout`` (seconds) spans it all."""

    def embed_queries(self, texts: Sequence[str]) -> list[Vector]:
        """Return the vector of each text of a search query, within the provider's short time-out for queries."""

    def probe(self) -> None:
        """Find out cheaply whether the provider could embed now. Raises ProviderError where it could not."""


# The most that a column of pgvector's type takes.
_MAX_DIMENSION = 16_000


def checked(vectors: object, texts: Sequence[str], dimension: int | None = None) -> list[Vector]:
    """Return the vectors scaled to length 1. Raises ProviderMisbehaved unless they are one usable vector a text."""
    if not isinstance(vectors, list) or len(vectors) != len(texts):
        got = len(vectors) if isinstance(vectors, list) else type(vectors).__name__
        raise ProviderMisbehaved(f"The embedding provider was sent {len(texts)} texts and answered {got} vectors.")
    unit = []
    for position, vector in enumerate(vectors):
        if not isinstance(vector, list) or not vector:
            raise ProviderMisbehaved(f"The embedding provider's vector {position} is no list of numbers.")
        dimension = dimension or len(vector)
        if dimension > _MAX_DIMENSION:
            raise ProviderMisbehaved(f"Vectors of {dimension} dimensions cannot be stored: {_MAX_DIMENSION} at most.")
        if len(vector) != dimension:
            raise ProviderMisbehaved(
                f"The embedding provider's vector {position} has {len(vector)} dimensions instead of {dimension}."
            )
        unit.append(_unit(vector, position))
    return unit


def _unit(vector: list[float], position: int) -> Vector:
    try:
        length = math.hypot(*vector)
    except (TypeError, ValueError, OverflowError):
        raise ProviderMisbehaved(f"The embedding provider's vector {position} is no list of numbers.") from None
    if not math.isfinite(length):
        raise ProviderMisbehaved(f"The embedding provider's vector {position} holds NaN or infinity.")
    if length == 0:
        raise ProviderMisbehaved(f"The embedding provider's vector {position} is all zeros.")
    return [value / length for value in vector]
