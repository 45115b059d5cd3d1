"""Roles: what a caller may do, and how a token's claim names one."""

import re
from typing import Final, Literal

type Role = Literal["reader", "editor", "admin"]

# Each may do what those before it may.
_ROLES: Final[tuple[Role, ...]] = ("reader", "editor", "admin")
# Gateways hand a list on as text, each in its own spelling.
_BETWEEN_NAMES: Final = re.compile(r"""[\s,\[\]"']+""")


def suffices(role: Role, required: Role) -> bool:
    """Tell whether a role may do what asks for another."""
    return _ROLES.index(role) >= _ROLES.index(required)


def claimed_role(claim: object, prefix: str) -> Role | None:
    """Return the highest role that a claim names, each by ``prefix`` and its name; None where it names none.

    The claim is a list of names, or a text of one or several.
    """
    listed = claim if isinstance(claim, list) else _BETWEEN_NAMES.split(claim) if isinstance(claim, str) else []
    return next((role for role in reversed(_ROLES) if f"{prefix}{role}" in listed), None)
