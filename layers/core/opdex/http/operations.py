"""Operations: those of one spec, page by page."""

from opdex.catalog.documents import list_operations as listed
from opdex.errors import CatalogNotFound, SpecNotFound
from opdex.http.answer_size import fitting
from opdex.http.answers import OperationPage
from opdex.http.context import ApiContext
from opdex.http.cursors import decode_cursor, encode_cursor, place_position
from opdex.http.requests import CatalogId, Cursor, Limit, SpecName
from opdex.http.routing import Routes


def operation_routes(context: ApiContext) -> Routes:
    """Return the route on the operations of a spec."""
    routes = Routes("Specs")

    @routes.endpoint(
        "GET",
        "/api-catalogs/<catalog_id>/specs/<spec_name>/operations",
        role="reader",
        answers={200: "The operations, in the document's order."},
        errors=(CatalogNotFound, SpecNotFound),
    )
    def list_operations(
        catalog_id: CatalogId, spec_name: SpecName, limit: Limit = 100, cursor: Cursor = None
    ) -> OperationPage:
        """List the operations of a spec's current revision.

        A list that was begun goes on with the same revision, whatever is uploaded meanwhile.
        """
        place = decode_cursor(cursor, place_position)
        revision, start = map(int, place.split(".")) if place else (None, 0)
        with context.database.transaction() as c:
            found = listed(c, catalog_id, spec_name, limit + 1, revision, start)
        shown = fitting(found.operations[:limit])
        more = len(found.operations) > len(shown)
        following = encode_cursor(f"{found.revision}.{start + len(shown)}") if more else None
        return OperationPage(operations=list(shown), next=following)

    return routes
