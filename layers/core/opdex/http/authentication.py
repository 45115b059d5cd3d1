"""Who calls, and what they may do: a token that the gateway has checked says it, or an API key."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict

from opdex.database import Database
from opdex.errors import Forbidden, Unauthenticated
from opdex.http.gateway_identity import gateway_identity
from opdex.http.keys_store import find_key
from opdex.roles import Role, suffices
from opdex.settings import AccessSettings

_MOST_KEY_CHARACTERS: Final = 200  # far longer than any key, and cheap to refuse


class Caller(BaseModel):
    """An API key, or the subject of a token. ``gateway`` is whom the gateway let through with a key."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    kind: Literal["key", "token"]
    id: str
    name: str
    role: Literal["reader", "editor", "admin"]
    gateway: str | None = None


def authenticate(event: Mapping[str, Any], settings: AccessSettings, database: Database) -> Caller:
    """Return who sent an event. Raises Unauthenticated.

    A role that the gateway vouches for stands, and no key is looked at. Else a key says the role, also of those that
    the gateway let through. It is looked up each time: a deleted key is refused at once, by every warm process.
    """
    vouched = gateway_identity(event, settings)
    if vouched is not None and vouched.role is not None:
        return Caller(kind="token", id=vouched.principal, name=vouched.name, role=vouched.role)
    # Behind an authorizer the header Authorization is the gateway's.
    sent = _sent_key(event, bearer=vouched is None)
    with database.statement() as connection:
        key = find_key(connection, sent)
    if key is None:
        raise Unauthenticated
    gateway = None if vouched is None else vouched.principal
    return Caller(kind="key", id=key.id, name=key.name, role=key.role, gateway=gateway)


def authorize(caller: Caller, required: Role) -> None:
    """Return if the caller's role is high enough. Raises Forbidden."""
    if not suffices(caller.role, required):
        message = f"This call needs the role '{required}'; the {caller.kind} has '{caller.role}'."
        raise Forbidden(message, required=required)


def _sent_key(event: Mapping[str, Any], *, bearer: bool) -> str:
    keys = set(_header_values(event, "x-api-key"))
    if bearer:
        keys.update(_bearer_tokens(event))
    if len(keys) > 1:
        # Which of them counts must not depend on who reads the headers.
        raise Unauthenticated("The request carries more than one key; send one.")
    if not keys or len(key := keys.pop()) > _MOST_KEY_CHARACTERS:
        raise Unauthenticated
    return key


def _bearer_tokens(event: Mapping[str, Any]) -> Iterator[str]:
    for value in _header_values(event, "authorization"):
        scheme, _, token = value.partition(" ")
        if scheme.lower() == "bearer" and token.strip():
            yield token.strip()


def _header_values(event: Mapping[str, Any], name: str) -> Iterator[str]:
    """Yield all values of a header that are not empty, in whatever case and however often it was sent."""
    for sent, value in (event.get("headers") or {}).items():
        yield from _named(name, sent, [value])
    for sent, values in (event.get("multiValueHeaders") or {}).items():
        yield from _named(name, sent, values)


def _named(name: str, sent: str, values: list[str | None]) -> Iterator[str]:
    if sent.lower() == name:
        yield from (value.strip() for value in values or () if value and value.strip())
