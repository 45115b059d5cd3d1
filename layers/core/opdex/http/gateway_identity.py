"""Whom the gateway lets through: an AWS principal, or the subject of a token that it has checked."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from opdex.errors import Unauthenticated
from opdex.openapi.plain_text import cut, on_one_line
from opdex.roles import Role, claimed_role
from opdex.settings import AccessSettings

_MOST_CHARACTERS: Final = 255  # as long as a subject may be


@dataclass(frozen=True, slots=True)
class GatewayIdentity:
    """Who calls as the gateway knows them; ``role`` is None where a key has to say what they may do."""

    principal: str
    name: str
    role: Role | None


def gateway_identity(event: Mapping[str, Any], settings: AccessSettings) -> GatewayIdentity | None:
    """Return whom the gateway let through, None where it lets everybody through.

    Only the gateway writes what is read here: a client's headers and body are elsewhere in the event. Raises
    Unauthenticated where the gateway said nothing, or let a token through that has expired since it was checked.
    """
    context = event.get("requestContext") or {}
    authorizer = context.get("authorizer") or {}
    match settings.api_authorization:
        case "none":
            return None
        case "iam":
            arn = (context.get("identity") or {}).get("userArn")
            return _identity(arn, arn, None)
        case "cognito":
            claims = authorizer.get("claims") or {}
            roles = claims.get(settings.token_role_claim or "cognito:groups")
            role = claimed_role(roles, settings.token_role_prefix)
            return _identity(claims.get("sub"), claims.get("cognito:username"), role)
        case "jwt":
            # The gateway keeps a verdict for minutes; no token outlives its own end by that.
            if not _ends_at(authorizer) > time.time():
                raise Unauthenticated("The token has expired.")
            role = claimed_role(authorizer.get("role"), "")
            return _identity(authorizer.get("principalId"), authorizer.get("name"), role)


def _identity(principal: object, name: object, role: Role | None) -> GatewayIdentity:
    if not isinstance(principal, str) or not principal:
        raise Unauthenticated("The gateway did not say who calls.")
    shown = name if isinstance(name, str) and name else principal
    return GatewayIdentity(_printable(principal), _printable(shown), role)


def _ends_at(authorizer: Mapping[str, Any]) -> float:
    try:
        return float(authorizer.get("expires_at") or 0)
    except (TypeError, ValueError):
        return 0.0


def _printable(text: str) -> str:
    return cut(on_one_line(text), _MOST_CHARACTERS)
