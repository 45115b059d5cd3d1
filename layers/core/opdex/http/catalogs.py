"""Catalogs: list, create, read, update, clone, delete."""

from opdex.catalog import store
from opdex.catalog.clone import clone_catalog as clone
from opdex.catalog.models import Catalog
from opdex.errors import CatalogExists, CatalogNotFound, MalformedRequest
from opdex.http.answers import CatalogPage
from opdex.http.audit_store import Subject
from opdex.http.context import ApiContext
from opdex.http.cursors import decode_cursor, name_position, page
from opdex.http.requests import CatalogChanges, CatalogDraft, CatalogId, Cursor, Limit
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
        with context.changes(Subject.catalog(draft.id)).transaction() as c:
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
        "PUT",
        "/api-catalogs/<catalog_id>",
        role="editor",
        answers={200: "The catalog as it is now."},
        errors=(CatalogNotFound, CatalogExists),
    )
    def update_catalog(catalog_id: CatalogId, changes: CatalogChanges) -> Catalog:
        """Change what is sent of a catalog."""
        if changes.id not in (None, catalog_id):
            raise MalformedRequest("A catalog's id cannot be changed; clone the catalog under another.", field="id")
        with context.changes(Subject.catalog(catalog_id)).transaction() as c:
            return store.update_catalog(c, catalog_id, **changes.model_dump(exclude={"id"}))

    @routes.endpoint(
        "POST",
        "/api-catalogs/<catalog_id>/clone",
        role="editor",
        answers={201: "The new catalog."},
        errors=(CatalogNotFound, CatalogExists),
    )
    def clone_catalog(catalog_id: CatalogId, draft: CatalogDraft) -> Catalog:
        """Create a catalog with all specs of another one, as they are at this moment.

        Nothing is embedded again: operations and vectors are shared. A spec that is not embedded yet gets a job of its
        own. One from a URL is refreshed from there, on the same schedule. Without a `description` it is the same.
        """
        model = context.embedder.identity
        with context.changes(Subject.catalog(draft.id)).transaction() as c:
            made = clone(
                c,
                catalog_id,
                model,
                id=draft.id,
                name=draft.name,
                version=draft.version,
                display_name=draft.display_name or "",
                description=draft.description,
            )
        context.wake(*made.job_ids)
        return made.catalog

    @routes.endpoint(
        "DELETE",
        "/api-catalogs/<catalog_id>",
        role="editor",
        answers={204: "The catalog is gone."},
        errors=(CatalogNotFound,),
    )
    def delete_catalog(catalog_id: CatalogId) -> None:
        """Delete a catalog with its specs; their jobs are cancelled."""
        with context.changes(Subject.catalog(catalog_id)).transaction() as c:
            store.delete_catalog(c, catalog_id)

    return routes
