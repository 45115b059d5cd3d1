"""Search: operations by what they do."""

from typing import Annotated, Literal

from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from opdex.http.answer_size import fitting
from opdex.http.answers import Next
from opdex.http.context import ReadContext
from opdex.http.cursors import decode_cursor, encode_cursor, id_position
from opdex.http.requests import NOT_BLANK, Limit, storable
from opdex.http.routing import Routes
from opdex.openapi.path_items import METHOD_PATTERN
from opdex.ranking.parts import Part
from opdex.search import FoundOperation, SearchRequest
from opdex.search import Ranking as UsedRanking

Wanted = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=1_000, pattern=NOT_BLANK),
    AfterValidator(storable),
    Query(description="What the operation should do."),
]
_Name = Annotated[str, AfterValidator(storable)]
_Tag = Annotated[str, StringConstraints(max_length=500), AfterValidator(storable)]
Names = Annotated[list[_Name] | None, Query(description="Only in these; may repeat.")]
Method = Annotated[str | None, Query(pattern=METHOD_PATTERN, description="Only this HTTP method.")]
Tag = Annotated[_Tag | None, Query(description="Only with this tag.")]
Deprecated = Annotated[bool | None, Query(description="Only deprecated ones, or only others.")]
Without = Annotated[
    list[Part] | None, Query(description="Leave these parts out of the hybrid ranking, to see what each is good for.")
]
Cursor = Annotated[str | None, Query(max_length=100, description="The `next` of the page before.")]
Ranking = Annotated[Literal["hybrid", "semantic", "lexical"], Query(description="How to rank.")]


class FoundOperations(BaseModel):
    """What a search found, best first; `note` says why the ranking is not as asked for, and what was left out."""

    model_config = ConfigDict(defer_build=True)

    operations: list[FoundOperation]
    ranking: UsedRanking
    note: Annotated[str | None, Field(exclude_if=lambda note: note is None)] = None
    next: Next = None


def search_routes(context: ReadContext) -> Routes:
    """Return the search route."""
    routes = Routes("Search")

    @routes.endpoint("GET", "/search", role="reader", answers={200: "The operations found, best first."})
    def search_operations(
        q: Wanted,
        catalog: Names = None,
        spec: Names = None,
        method: Method = None,
        tag: Tag = None,
        deprecated: Deprecated = None,
        ranking: Ranking = "hybrid",
        without: Without = None,
        limit: Limit = 10,
        cursor: Cursor = None,
    ) -> FoundOperations:
        """Find operations by what they do.

        Where semantic ranking is not to be had it answers lexically, and `note` says why; it also says how many specs
        are left out, which are not ready yet, or more than one search may look at.
        """
        request = SearchRequest(
            q=q,
            catalogs=tuple(catalog or ()),
            specs=tuple(spec or ()),
            method=method,
            tag=tag,
            deprecated=deprecated,
            ranking=ranking,
            without=tuple(without or ()),
            limit=limit,
            start=decode_cursor(cursor, id_position) or 0,
        )
        answer = context.searcher.search(request)
        shown = list(fitting(answer.operations))
        has_more = answer.has_more or len(shown) < len(answer.operations)
        return FoundOperations(
            operations=shown,
            ranking=answer.ranking,
            note=answer.note,
            next=encode_cursor(request.start + len(shown)) if has_more else None,
        )

    return routes
