"""API keys as they are stored: the SHA-256 of each, never the key itself."""

import re
import secrets
from datetime import datetime
from hashlib import sha256
from hmac import compare_digest
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from opdex.database import Connection, load_statements
from opdex.errors import ConfigurationError, FirstAdminKeyStays, KeyNotFound
from opdex.timestamps import Timestamp

FIRST_ADMIN_KEY_ID: Final = "first-admin"

_SQL = load_statements("opdex.http", "keys.sql")
_PREFIX: Final = "opdex_"
_KEY: Final = re.compile(rf"{_PREFIX}[\w-]{{20,}}", re.ASCII)
# A hash without salt or stretching is safe for what cannot be guessed, and for nothing else.
_LEAST_SECRET_CHARACTERS: Final = 32


class Key(BaseModel):
    """An API key, without the key itself. ``last_used_at`` is true to the hour."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    id: str
    name: str
    role: Literal["reader", "editor", "admin"]
    created_at: Timestamp
    expires_at: Timestamp | None
    last_used_at: Timestamp | None = None


class NewKey(Key):
    """A key that was just made; ``key`` is what to send, and is shown this once."""

    key: str


def new_key_id() -> str:
    """Return an id for a key to be made."""
    return secrets.token_hex(8)


def create_key(
    connection: Connection,
    name: str,
    role: Literal["reader", "editor", "admin"],
    expires_at: datetime | None,
    key_id: str | None = None,
) -> NewKey:
    """Make a key of 256 random bits and return it; it cannot be read again."""
    key = f"{_PREFIX}{secrets.token_urlsafe(32)}"
    values = {
        "id": key_id or new_key_id(),
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
    """Delete a key; from the commit on it is refused everywhere. Raises KeyNotFound, FirstAdminKeyStays."""
    if key_id == FIRST_ADMIN_KEY_ID:
        raise FirstAdminKeyStays
    if connection.execute(_SQL["delete_key"], {"id": key_id}).fetchone() is None:
        raise KeyNotFound(f"No key '{key_id}'.")


def find_key(connection: Connection, key: str) -> Key | None:
    """Return the stored key that was sent, or None where it is unknown or has expired; note its use, hourly at most."""
    digest = _digest(key)
    possible = connection.execute(_SQL["possible_keys"], {"beginning": digest[:8]}, prepare=True).fetchall()
    row = next((row for row in possible if compare_digest(bytes(row["key_sha256"]), digest)), None)
    if row is None:
        return None
    if row["use_is_news"]:
        connection.execute(_SQL["note_use"], row)
    return Key.model_validate(row)


def keep_first_admin_key(connection: Connection, key: str) -> bool:
    """Make what the secret holds the first admin key, in place of an earlier one; tell whether that was news.

    Raises ConfigurationError where it could be guessed.
    """
    if len(key) < _LEAST_SECRET_CHARACTERS:
        raise ConfigurationError(f"The first admin key must have {_LEAST_SECRET_CHARACTERS} characters or more.")
    values = {"id": FIRST_ADMIN_KEY_ID, "key_sha256": _digest(key)}
    return connection.execute(_SQL["keep_first_admin_key"], values).fetchone() is not None


def without_keys(text: str) -> str:
    """Return a text with what looks like an API key left out, for logs."""
    return _KEY.sub(f"{_PREFIX}…", text)


def _digest(key: str) -> bytes:
    return sha256(key.encode("utf-8", "surrogatepass")).digest()
