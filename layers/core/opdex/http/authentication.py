"""Who calls, and what they may do."""

from collections.abc import Mapping
from typing import Final

from opdex.database import Connection
from opdex.errors import Forbidden, Unauthenticated
from opdex.http.keys_store import Key, find_key
from opdex.http.routing import Role

_RANK: Final[dict[Role, int]] = {"reader": 0, "editor": 1, "admin": 2}


def sent_key(headers: Mapping[str, str]) -> str:
    """Return the key that a request carries in X-API-Key, or as a bearer token. Raises Unauthenticated."""
    key = headers.get("x-api-key", "").strip()
    if not key:
        scheme, _, token = headers.get("authorization", "").strip().partition(" ")
        key = token.strip() if scheme.lower() == "bearer" else ""
    if not key:
        raise Unauthenticated
    return key


def authenticate(connection: Connection, sent: str) -> Key:
    """Return the caller's key. Raises Unauthenticated where it is unknown, expired or deleted.

    It is looked up each time: a deleted key is refused at once, by every warm process.
    """
    key = find_key(connection, sent)
    if key is None:
        raise Unauthenticated
    return key


def authorize(key: Key, required: Role) -> None:
    """Return if the key's role is high enough. Raises Forbidden."""
    if _RANK[key.role] < _RANK[required]:
        raise Forbidden(f"This call needs the role '{required}'; the key has '{key.role}'.", required=required)
