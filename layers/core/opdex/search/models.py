"""What is asked of search and what it answers (the shapes of the HTTP contract)."""

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from opdex.catalog.models import ListedOperation

type Ranking = Literal["hybrid", "semantic", "lexical"]
type Channel = Literal["semantic", "lexical"]


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A query and where to look; an empty sequence or None means everywhere."""

    q: str
    catalogs: tuple[str, ...] = ()
    specs: tuple[str, ...] = ()
    method: str | None = None
    tag: str | None = None
    ranking: Ranking = "hybrid"
    limit: int = 10


class FoundOperation(ListedOperation):
    """An operation that was found; ``score`` is from 0 to 1 and comparable within one answer only."""

    score: float
    matched: list[Channel]


class SearchAnswer(BaseModel):
    """Best first. ``ranking`` is the one that was used; ``note`` says why it is not the one that was asked for."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    operations: list[FoundOperation]
    ranking: Ranking
    note: str | None = None
