"""Whether a token is good, and what it says of its bearer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast, get_args

import jwt

from opdex.errors import Unauthenticated
from opdex.roles import Role, claimed_role
from opdex.settings import AuthorizerSettings
from opdex.tokens.signing_keys import Algorithm

_ALGORITHMS: Final = frozenset(get_args(Algorithm.__value__))
_MOST_CHARACTERS: Final = 16_384  # more than a gateway passes in all headers
_CLOCK_SECONDS: Final = 30  # by which the provider's clock may be off
_REQUIRED: Final = ("exp", "iss", "aud", "sub")
_NAMES: Final = ("preferred_username", "email")


class KeyFinder(Protocol):
    """Where the provider's keys are."""

    def find(self, key_id: str, algorithm: Algorithm) -> jwt.PyJWK | None:
        """Return a key, None where the provider has no such. Raises TokenKeysUnavailable."""


@dataclass(frozen=True, slots=True)
class Bearer:
    """The bearer of a good token; ``role`` is None where the token names none."""

    subject: str
    name: str
    role: Role | None
    expires_at: int


class TokenVerifier:
    """Takes tokens of one issuer, for one audience, signed with RS256 or ES256 by one of its keys."""

    def __init__(self, settings: AuthorizerSettings, keys: KeyFinder) -> None:
        self._settings = settings
        self._audiences = [name.strip() for name in settings.token_audience.split(",") if name.strip()]
        self._keys = keys

    def verify(self, token: str) -> Bearer:
        """Return the bearer of a token. Raises Unauthenticated, TokenKeysUnavailable."""
        if len(token) > _MOST_CHARACTERS:
            raise Unauthenticated("The token is too long.")
        try:
            claims = self._claims(token)
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            # Its words may quote the token.
            raise Unauthenticated(f"The token is not accepted: {type(error).__name__}.") from error
        subject = claims["sub"]
        if not subject:
            raise Unauthenticated("The token names nobody.")
        name = next((claims[claim] for claim in _NAMES if isinstance(claims.get(claim), str)), subject)
        roles = _claim(claims, self._settings.token_role_claim or "roles")
        role = claimed_role(roles, self._settings.token_role_prefix)
        return Bearer(subject, name, role, int(claims["exp"]))

    def _claims(self, token: str) -> dict[str, Any]:
        header = jwt.get_unverified_header(token)
        algorithm, key_id = header.get("alg"), header.get("kid")
        # The header only chooses among the provider's keys of that very kind: no secret, no "none", no key of its own.
        if algorithm not in _ALGORITHMS or not isinstance(key_id, str):
            raise Unauthenticated("The token is not signed with RS256 or ES256, or names no key.")
        key = self._keys.find(key_id, cast(Algorithm, algorithm))
        if key is None:
            raise Unauthenticated("The token is signed with a key that its issuer does not have.")
        return jwt.decode(
            token,
            key,
            algorithms=[key.algorithm_name],
            audience=self._audiences,
            issuer=self._settings.token_issuer,
            leeway=_CLOCK_SECONDS,
            options={"require": list(_REQUIRED), "enforce_minimum_key_length": True},
        )


def _claim(claims: Mapping[str, Any], name: str) -> object:
    """Return a claim by its name or, where no claim has it whole, by the way to it: ``realm_access.roles``."""
    found: object = claims
    for part in (name,) if name in claims else name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found
