"""What is asked of search and what it answers (the shapes of the HTTP contract)."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from opdex.catalog.models import ListedOperation
from opdex.ranking.parts import Channel, Part

type Ranking = Literal["hybrid", "semantic", "lexical"]


def _is_none(value: Any) -> bool:
    return value is None


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A query and where to look; an empty sequence or None means everywhere.

    ``without``: parts of the hybrid ranking that are left out, to see what each is good for. ``start``: how many of the
    best are passed over.
    """

    q: str
    catalogs: tuple[str, ...] = ()
    specs: tuple[str, ...] = ()
    method: str | None = None
    tag: str | None = None
    deprecated: bool | None = None
    ranking: Ranking = "hybrid"
    without: tuple[Part, ...] = ()
    limit: int = 10
    start: int = 0


class Highlight(BaseModel):
    """Where a field says words of the query: ``matches`` are [start, end) in ``text``, a part of the field."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    field: Literal["summary", "description", "path", "operation_id"]
    text: str
    matches: list[tuple[int, int]]


class FoundOperation(ListedOperation):
    """An operation that was found, and why. ``score`` is from 0 to 1 and comparable within one answer only.

    ``clause``: which part of a query of several this one answers. ``needed_by``: the operation that takes as a path
    parameter what this one answers with, where it is here for that.
    """

    score: float
    matched: list[Channel]
    clause: Annotated[str | None, Field(exclude_if=_is_none)] = None
    needed_by: Annotated[str | None, Field(exclude_if=_is_none)] = None
    highlights: list[Highlight] = Field(default_factory=list)


class SearchAnswer(BaseModel):
    """Best first. ``ranking`` is the one that was used; ``note`` says why it is not the one that was asked for, what
    was left out, and where the list ends though more could be ranked.

    ``has_more``: there are more than were asked for.
    """

    model_config = ConfigDict(frozen=True, defer_build=True)

    operations: list[FoundOperation]
    ranking: Ranking
    note: str | None = None
    has_more: bool = False
