"""API keys as they are stored: the SHA-256 of each, never the key itself."""

import secrets
from datetime import datetime
from hashlib import sha256
from typing import Literal

from pydantic import BaseModel, ConfigDict

from opdex.database import Connection, load_statements
from opdex.errors import KeyNotFound
from opdex.timestamps import Timestamp

_SQL = load_statements("opdex.http", "keys.sql")


class Key(BaseModel):
    """An API key, without the key itself."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    role: Literal["reader", "editor", "admin"]
    created_at: Timestamp
    expires_at: Timestamp | None


class NewKey(Key):
    """A key that was just made; ``key`` is what to send, and is shown this once."""

    key: str


def create_key(
    connection: Connection, name: str, role: Literal["reader", "editor", "admin"], expires_at: datetime | None
) -> NewKey:
    """Make a key of 256 random bits and return it; it cannot be read again."""
    key = f"opdex_{secrets.token_urlsafe(32)}"
    values = {
        "id": secrets.token_hex(8),
        "name": name,
        "role": role,
        "key_sha256": _digest(key),
        "expires_at": expires_at,
    }
    row = connection.execute(_SQL["create_key"], values).fetchone()
    return NewKey.model_validate({**(row or {}), "key": key})


def list_keys(connection: Connection) -> list[Key]:
    """Return all keys, oldest first."""
    return [Key.model_validate(row) for row in connection.execute(_SQL["list_keys"])]


def delete_key(connection: Connection, key_id: str) -> None:
    """Delete a key; from the commit on it is refused everywhere. Raises KeyNotFound."""
    if connection.execute(_SQL["delete_key"], {"id": key_id}).fetchone() is None:
        raise KeyNotFound(f"No key '{key_id}'.")


def find_key(connection: Connection, key: str) -> Key | None:
    """Return the stored key that was sent, or None where it is unknown or has expired."""
    # By digest: how long the look-up takes tells nothing about any stored key.
    row = connection.execute(_SQL["find_key"], {"key_sha256": _digest(key)}).fetchone()
    return None if row is None else Key.model_validate(row)


def _digest(key: str) -> bytes:
    return sha256(key.encode("utf-8", "surrogatepass")).digest()
