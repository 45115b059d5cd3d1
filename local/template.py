"""Reads the SAM template, in short form as written or in long form as built, and what parameters make of it."""

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
    template: dict[str, Any] = yaml.load(path.read_text("utf-8"), _Loader)  # nosec B506  # noqa: S506  a safe loader with tags
    return template


def parameter_values(template: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters' values, ``given`` (by variable name, ``WORKERS``) or default.

    They are checked against what the template says of each, and against its rules. Raises LocalRunError naming the
    variable and what it takes.
    """
    declared = template["Parameters"]
    values = {name: str(about["Default"]) for name, about in declared.items() if "Default" in about}
    by_variable = {variable_name(name): name for name in declared}
    for variable, value in given.items():
        name = by_variable[variable]
        _check(variable, value, declared[name])
        values[name] = value
    _check_rules(template, values)
    return values


def variable_name(parameter: str) -> str:
    """Return a parameter's variable name: ``EmbedTimeoutSeconds`` is ``EMBED_TIMEOUT_SECONDS``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", parameter).upper()


def resolved(value: Any, template: Mapping[str, Any], values: Mapping[str, str]) -> Any:
    """Return what a ``Ref`` to a parameter or an ``If`` comes to, None for no value; anything else as it is."""
    match value:
        case {"Ref": "AWS::NoValue"}:
            return None
        case {"Ref": name} if name in values:
            return values[name]
        case {"Fn::If": [condition, when_true, when_false]}:
            chosen = when_true if holds({"Condition": condition}, template, values) else when_false
            return resolved(chosen, template, values)
        case {"Fn::Join": [separator, {"Ref": name}]}:
            return values[name].replace(",", separator)
    return value


def holds(expression: Mapping[str, Any], template: Mapping[str, Any], values: Mapping[str, str]) -> bool:
    """Tell whether an expression of the template's conditions and rules holds."""
    match expression:
        case {"Condition": name}:
            return holds(template["Conditions"][name], template, values)
        case {"Fn::Not": [part]}:
            return not holds(part, template, values)
        case {"Fn::And": parts}:
            return all(holds(part, template, values) for part in parts)
        case {"Fn::Or": parts}:
            return any(holds(part, template, values) for part in parts)
        case {"Fn::Equals": [left, right]}:
            return str(resolved(left, template, values)) == str(resolved(right, template, values))
        case {"Fn::Contains": [list(allowed), value]}:
            return resolved(value, template, values) in map(str, allowed)
        case {"Fn::EachMemberEquals": [{"Ref": name}, member]}:
            return all(part == member for part in values[name].split(","))
    raise ValueError(f"This is no condition that can be told: {expression}")


def _check_rules(template: Mapping[str, Any], values: Mapping[str, str]) -> None:
    for rule in template["Rules"].values():
        if "RuleCondition" in rule and not holds(rule["RuleCondition"], template, values):
            continue
        for assertion in rule["Assertions"]:
            if not holds(assertion["Assert"], template, values):
                names = re.compile(rf"\b({'|'.join(values)})\b")
                raise LocalRunError(names.sub(lambda name: variable_name(name[0]), assertion["AssertDescription"]))


def _check(variable: str, value: str, about: Mapping[str, Any]) -> None:
    if about["Type"] == "Number" and "AllowedValues" not in about:
        low, high = about.get("MinValue", 0), about.get("MaxValue", 2**31)
        if not re.fullmatch(r"[0-9]{1,9}", value) or not low <= int(value) <= high:
            raise LocalRunError(f"{variable} takes a whole number from {low} to {high}, not '{value}'.")
    if "AllowedValues" in about and value not in map(str, about["AllowedValues"]):
        raise LocalRunError(f"{variable} takes one of {', '.join(map(str, about['AllowedValues']))}, not '{value}'.")
    if "AllowedPattern" in about and not re.fullmatch(about["AllowedPattern"], value):
        raise LocalRunError(f"{variable} {about['ConstraintDescription']}, not '{value}'.")
