"""Search: operations by what they do."""

from typing import Annotated, Literal

from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import AfterValidator, StringConstraints

from opdex.http.answer_size import fitting
from opdex.http.answers import FoundOperations
from opdex.http.context import ApiContext
from opdex.http.requests import NOT_BLANK, Limit, storable
from opdex.http.routing import Routes
from opdex.openapi.path_items import METHOD_PATTERN
from opdex.search import SearchRequest, search

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
Ranking = Annotated[Literal["hybrid", "semantic", "lexical"], Query(description="How to rank.")]


def search_routes(context: ApiContext) -> Routes:
    """Return the search route."""
    routes = Routes("Search")

    @routes.endpoint("GET", "/search", role="reader", answers={200: "The operations found, best first."})
    def search_operations(
        q: Wanted,
        catalog: Names = None,
        spec: Names = None,
        method: Method = None,
        tag: Tag = None,
        ranking: Ranking = "hybrid",
        limit: Limit = 10,
    ) -> FoundOperations:
        """Find operations by what they do.

        Where semantic ranking is not to be had it answers lexically, and `note` says why.
        """
        request = SearchRequest(
            q=q,
            catalogs=tuple(catalog or ()),
            specs=tuple(spec or ()),
            method=method,
            tag=tag,
            ranking=ranking,
            limit=limit,
        )
        answer = FoundOperations(**dict(search(context.database, lambda: context.embedder, request)))
        shown = fitting(answer.operations)
        if len(shown) == len(answer.operations):
            return answer
        note = f"Only the first {len(shown)} fit into one answer."
        note = f"{answer.note} {note}" if answer.note else note
        return answer.model_copy(update={"operations": shown, "note": note})

    return routes
