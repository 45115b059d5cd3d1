"""Reads the SAM template, in short form as written or in long form as built, and checks values for its parameters."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from local.errors import LocalRunError


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms, such as ``!Ref``."""


def _long_form(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)  # noqa: S101  there is no fourth kind
        value = loader.construct_mapping(node, deep=True)
    if tag == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {tag if tag in ("Ref", "Condition") else f"Fn::{tag}": value}


_Loader.add_multi_constructor("!", _long_form)


def read_template(path: Path) -> dict[str, Any]:
    """Return a template with every intrinsic function in its long form."""
    template: dict[str, Any] = yaml.load(path.read_text("utf-8"), _Loader)  # noqa: S506  a safe loader with tags
    return template


def parameter_values(template: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters' values, ``given`` (by variable name, ``WORKERS``) or default.

    Each is checked against what the template says of it. Raises LocalRunError naming the variable and what it takes.
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
    if values["EmbeddingProvider"] == "minilm" and values["EmbeddingModel"]:
        _require_minilm(values["EmbeddingModel"])
    return values


def variable_name(parameter: str) -> str:
    """Return a parameter's variable name: ``EmbedTimeoutSeconds`` is ``EMBED_TIMEOUT_SECONDS``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", parameter).upper()


def resolved(value: object, values: Mapping[str, str]) -> str:
    """Return what a literal, or a ``Ref`` to a parameter, comes to."""
    return values[value["Ref"]] if isinstance(value, dict) else str(value)


def _check(variable: str, value: str, about: Mapping[str, Any]) -> None:
    if about["Type"] == "Number":
        low, high = about.get("MinValue", 0), about.get("MaxValue", 2**31)
        if not re.fullmatch(r"[0-9]{1,9}", value) or not low <= int(value) <= high:
            raise LocalRunError(f"{variable} takes a whole number from {low} to {high}, not '{value}'.")
    if "AllowedValues" in about and value not in map(str, about["AllowedValues"]):
        raise LocalRunError(f"{variable} takes one of {', '.join(map(str, about['AllowedValues']))}, not '{value}'.")
    if "AllowedPattern" in about and not re.fullmatch(about["AllowedPattern"], value):
        raise LocalRunError(f"{variable} {about['ConstraintDescription']}, not '{value}'.")


def _require_minilm(model: str) -> None:
    from opdex.embedding.minilm import MODEL  # not for the many runs that name no model

    if model != MODEL:
        raise LocalRunError(f"EMBEDDING_MODEL is {MODEL} or empty where EMBEDDING_PROVIDER is minilm, not '{model}'.")
