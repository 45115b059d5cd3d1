"""Values for the template's parameters, checked against what the template itself says of them."""

import re
from collections.abc import Mapping
from typing import Any

from local.errors import LocalRunError


def parameter_values(template: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    """Return every parameter's value, ``given`` or default. ``given`` is by variable name (``WORKERS``).

    Raises LocalRunError naming the variable and what it takes.
    """
    declared = template["Parameters"]
    values = {name: str(about["Default"]) for name, about in declared.items() if "Default" in about}
    by_variable = {variable_name(name): name for name in declared}
    for variable, value in given.items():
        name = by_variable[variable]
        _check(variable, value, declared[name])
        values[name] = value
    if values["EmbeddingProvider"] == "ollama" and not values["EmbeddingUrl"]:
        raise LocalRunError("EMBEDDING_PROVIDER=ollama needs EMBEDDING_URL, such as http://127.0.0.1:11434.")
    return values


def variable_name(parameter: str) -> str:
    """Return a parameter's variable name: ``EmbedTimeoutSeconds`` is ``EMBED_TIMEOUT_SECONDS``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", parameter).upper()


def resolved(value: object, values: Mapping[str, str]) -> str:
    """Return what a template's literal or ``Ref`` to a parameter comes to."""
    return values[value["Ref"]] if isinstance(value, dict) else str(value)


def _check(variable: str, value: str, about: Mapping[str, Any]) -> None:
    if about["Type"] == "Number":
        low, high = about.get("MinValue", 0), about.get("MaxValue", 2**31)
        if not re.fullmatch(r"\d{1,9}", value) or not low <= int(value) <= high:
            raise LocalRunError(f"{variable} takes a whole number from {low} to {high}, not '{value}'.")
    if "AllowedValues" in about and value not in map(str, about["AllowedValues"]):
        raise LocalRunError(f"{variable} takes one of {', '.join(map(str, about['AllowedValues']))}, not '{value}'.")
    if "AllowedPattern" in about and not re.fullmatch(about["AllowedPattern"], value):
        raise LocalRunError(f"{variable} {about['ConstraintDescription']}, not '{value}'.")
