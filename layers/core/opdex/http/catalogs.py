"""Catalogs: list, create, read, delete."""

from opdex.catalog import store
from opdex.catalog.models import Catalog
from opdex.errors import CatalogExists, CatalogNotFound
from opdex.http.answers import CatalogPage
from opdex.http.context import ApiContext
from opdex.http.cursors import decode_cursor, name_position, page
from opdex.http.requests import CatalogDraft, CatalogId, Cursor, Limit
from opdex.http.routing import Routes


def catalog_routes(context: ApiContext) -> Routes:
    """Return the routes on catalogs."""
    routes = Routes("Catalogs")
    transaction = context.database.transaction

    @routes.endpoint("GET", "/api-catalogs", role="reader", answers={200: "The catalogs, by id."})
    def list_catalogs(limit: Limit = 100, cursor: Cursor = None) -> CatalogPage:
        """List the catalogs."""
        after = decode_cursor(cursor, name_position)
        with transaction() as c:
            found = store.list_catalogs(c, limit + 1, after)
        catalogs, following = page(found, limit, lambda catalog: catalog.id)
        return CatalogPage(catalogs=catalogs, next=following)

    @routes.endpoint("POST", "/api-catalogs", role="editor", answers={201: "The new catalog."}, errors=(CatalogExists,))
    def create_catalog(draft: CatalogDraft) -> Catalog:
        """Create a catalog."""
        with transaction() as c:
            return store.create_catalog(
                c,
                id=draft.id,
                name=draft.name,
                version=draft.version,
                display_name=draft.display_name or "",
                description=draft.description or "",
            )

    @routes.endpoint(
        "GET", "/api-catalogs/<catalog_id>", role="reader", answers={200: "The catalog."}, errors=(CatalogNotFound,)
    )
    def get_catalog(catalog_id: CatalogId) -> Catalog:
        """Read a catalog."""
        with transaction() as c:
            return store.get_catalog(c, catalog_id)

    @routes.endpoint(
        "DELETE",
        "/api-catalogs/<catalog_id>",
        role="editor",
        answers={204: "The catalog is gone."},
        errors=(CatalogNotFound,),
    )
    def delete_catalog(catalog_id: CatalogId) -> None:
        """Delete a catalog with its specs; their jobs are cancelled."""
        with transaction() as c:
            store.delete_catalog(c, catalog_id)

    return routes
