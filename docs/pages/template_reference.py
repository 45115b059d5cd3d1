"""What the template lets one choose: its parameters, its outputs, and what sets each variable of the functions."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from docs.pages.tables import code, or_dash, table


def parameters(template: Mapping[str, Any]) -> Iterator[str]:
    """Yield the parameters, group by group as `sam deploy --guided` asks for them."""
    variables: dict[str, list[str]] = defaultdict(list)
    for variable, sources in sources_of_variables(template).items():
        for source in sources:
            variables[source].append(variable)
    for group in template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]:
        yield f"### {group['Label']['default']}\n"
        declared = ((name, template["Parameters"][name]) for name in group["Parameters"])
        yield table(
            ("parameter", "default", "takes", "what it is", "sets"),
            (
                (f"`{name}`", or_dash(about["Default"]), accepted(about), about["Description"], code(variables[name]))
                for name, about in declared
            ),
        )


def accepted(about: Mapping[str, Any]) -> str:
    """Return what a parameter takes."""
    if "AllowedValues" in about:
        return ", ".join(map(str, about["AllowedValues"]))
    if "MinValue" in about:
        return f"{about['MinValue']} to {about['MaxValue']}"
    if "ConstraintDescription" in about:
        return str(about["ConstraintDescription"]).removeprefix("must be ")
    return "a list, separated by commas" if about["Type"] == "CommaDelimitedList" else "text"


def outputs(template: Mapping[str, Any]) -> str:
    """Return the outputs, each with the parameters that decide whether it is there."""
    deciding = (
        (name, about, _parameters_in({"Condition": about.get("Condition")}, template))
        for name, about in template["Outputs"].items()
    )
    return table(
        ("output", "what it is", "depends on"),
        ((f"`{name}`", about["Description"], code(names)) for name, about, names in deciding),
    )


def sources_of_variables(template: Mapping[str, Any]) -> dict[str, set[str]]:
    """Return each variable of the functions with the parameters, or else the resources, that its value comes from."""
    parts = [template["Globals"]["Function"], *(resource["Properties"] for resource in template["Resources"].values())]
    found: dict[str, set[str]] = defaultdict(set)
    for part in parts:
        for name, value in part.get("Environment", {}).get("Variables", {}).items():
            found[name] |= _parameters_in(value, template) or _references_in(value)
    return found


def _references_in(value: Any) -> set[str]:
    match value:
        case {"Ref": str(name)} | {"Fn::GetAtt": [str(name), *_]}:
            return {name}
        case dict() | list():
            parts = value.values() if isinstance(value, dict) else value
            return set().union(*map(_references_in, parts))
    return set()


def _parameters_in(value: Any, template: Mapping[str, Any]) -> set[str]:
    match value:
        case {"Ref": str(name)}:
            return {name} if name in template["Parameters"] else set()
        case {"Condition": name}:
            return _parameters_in(template["Conditions"].get(name), template)
        case {"Fn::If": [condition, *branches]}:
            return _parameters_in([{"Condition": condition}, *branches], template)
        case dict() | list():
            parts = value.values() if isinstance(value, dict) else value
            return set().union(*(_parameters_in(part, template) for part in parts))
    return set()
