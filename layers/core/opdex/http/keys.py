"""API keys: list, make, delete."""

from opdex.errors import FirstAdminKeyStays, KeyNotFound
from opdex.http import keys_store
from opdex.http.answers import KeyList
from opdex.http.audit_store import Subject
from opdex.http.context import ApiContext
from opdex.http.requests import KeyDraft, KeyId
from opdex.http.routing import Routes


def key_routes(context: ApiContext) -> Routes:
    """Return the routes on API keys."""
    routes = Routes("Keys")

    @routes.endpoint("GET", "/keys", role="admin", answers={200: "The keys, without the keys themselves."})
    def list_keys() -> KeyList:
        """List the API keys."""
        with context.database.transaction() as c:
            return KeyList(keys=keys_store.list_keys(c))

    @routes.endpoint("POST", "/keys", role="admin", answers={201: "The new key, shown this once."})
    def create_key(draft: KeyDraft) -> keys_store.NewKey:
        """Make an API key."""
        key_id = keys_store.new_key_id()
        with context.changes(Subject.key(key_id)).transaction() as c:
            return keys_store.create_key(c, draft.name, draft.role, draft.expires_at, key_id)

    @routes.endpoint(
        "DELETE",
        "/keys/<key_id>",
        role="admin",
        answers={204: "Refused from now on."},
        errors=(KeyNotFound, FirstAdminKeyStays),
    )
    def delete_key(key_id: KeyId) -> None:
        """Delete an API key; it is refused at once everywhere.

        The first admin key stays, so that nobody is ever locked out: it ends when its secret is changed.
        """
        with context.changes(Subject.key(key_id)).transaction() as c:
            keys_store.delete_key(c, key_id)

    return routes
