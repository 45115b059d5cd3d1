"""The audit of changes: list."""

from opdex.http import audit_store
from opdex.http.answers import AuditPage
from opdex.http.context import ApiContext
from opdex.http.cursors import decode_cursor, id_position, page
from opdex.http.requests import Cursor, Limit
from opdex.http.routing import Routes


def audit_routes(context: ApiContext) -> Routes:
    """Return the route on the audit."""
    routes = Routes("Audit")

    @routes.endpoint("GET", "/audit", role="admin", answers={200: "The changes, newest first."})
    def list_audit_entries(limit: Limit = 100, cursor: Cursor = None) -> AuditPage:
        """List who changed what over the API, with what it was before and after.

        A request that wrote nothing, or failed, has no entry.
        """
        before = decode_cursor(cursor, id_position)
        with context.database.transaction() as c:
            found = audit_store.list_entries(c, limit + 1, before)
        entries, following = page(found, limit, lambda entry: entry.id)
        return AuditPage(entries=entries, next=following)

    return routes
