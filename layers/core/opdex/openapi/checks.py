"""What is wrong with a document though its operations can be read. Every finding is a warning, none an error."""

import re
from collections.abc import Iterable

from opdex.openapi.description import Findings
from opdex.openapi.document import Node
from opdex.openapi.operations import MAX_PATH, as_text
from opdex.openapi.path_items import ADDITIONAL, PATH_ITEM_FIELDS, PathItem
from opdex.openapi.plain_text import cut, quoted
from opdex.openapi.references import References

_OPERATION_FIELDS = frozenset({
    "$ref", "tags", "summary", "description", "externalDocs", "operationId", "parameters", "requestBody", "responses",
    "callbacks", "deprecated", "security", "servers", "consumes", "produces", "schemes",
})  # fmt: skip
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_RESPONSE_KEY = re.compile(r"[1-5](?:[0-9]{2}|XX)|default|x-.*", re.IGNORECASE | re.DOTALL)
_FIELDS_OF_3_2 = frozenset({"query", ADDITIONAL})
_ANY_METHOD = "x-amazon-apigateway-any-method"
_COMPONENT_NAME = re.compile(r"[A-Za-z0-9._-]+")


def check(document: Node, items: Iterable[PathItem], references: References, findings: Findings) -> None:
    """Note what the specification does not allow and a reader of this document may stumble over."""
    info = document.get("info")
    if not isinstance(info, dict) or not as_text(info.get("title")):
        findings.add("no_title", "`info.title` is missing.", "info", "title")
    if "x-ms-paths" in document:
        findings.add("unread_paths", "`x-ms-paths` is not read; move what stands there to `paths`.", "x-ms-paths")
    servers = document.get("servers")
    if servers is not None and not isinstance(servers, list):
        findings.add("unusable_server", "`servers` is not a list.", "servers")
    for number, server in enumerate(servers if isinstance(servers, list) else ()):
        if not isinstance(server, dict) or as_text(server.get("url")) is None or "url" not in server:
            findings.add("unusable_server", "This server has no `url`.", "servers", number)
    _check_component_names(document, findings)
    later = frozenset() if str(document.get("openapi")).startswith("3.2") else _FIELDS_OF_3_2
    for item in items:
        for key in sorted(later & item.node.keys()):
            findings.add("later_version", f"{quoted(key)} is read, though only OpenAPI 3.2 has it.", *item.pointer, key)
        _check_path_item(item, references, findings)


def _check_component_names(document: Node, findings: Findings) -> None:
    components = document.get("components")
    for kind, named in components.items() if isinstance(components, dict) else ():
        for name in named if isinstance(named, dict) and not kind.startswith("x-") else ():
            if not _COMPONENT_NAME.fullmatch(name):
                findings.add(
                    "component_name",
                    f"The name {quoted(name)} has characters other than letters, digits, dots, dashes and underscores.",
                    "components", kind, name,
                )  # fmt: skip


def _check_path_item(item: PathItem, references: References, findings: Findings) -> None:
    read = {operation.pointer[-1] for operation in item.operations}
    _check_fields(item.node, PATH_ITEM_FIELDS | read, findings, *item.pointer)
    if _ANY_METHOD in item.node:
        findings.add(
            "any_method", "An operation for any method is not read; name its methods.", *item.pointer, _ANY_METHOD
        )
    shared = _Parameters(item.node, references, findings, *item.pointer)
    placeholders = {written: _bare(written) for written in _PLACEHOLDER.findall(cut(item.name, MAX_PATH))}
    named = {*placeholders, *placeholders.values()}
    for operation in item.operations:
        node, at = operation.node, operation.pointer
        _check_fields(node, _OPERATION_FIELDS, findings, *at)
        own = _Parameters(node, references, findings, *at)
        in_path = shared.in_path | own.in_path
        for name in sorted(in_path - named):
            findings.add("path_parameter_unused", f"The path has no placeholder for the parameter {quoted(name)}.", *at)
        if shared.complete and own.complete:
            for written, name in placeholders.items():
                if written not in in_path and name not in in_path:
                    message = f"No parameter is declared for the placeholder {quoted(written)}."
                    findings.add("path_parameter_missing", message, *at)
        responses = references.resolve(node.get("responses"))
        references.count(responses)
        for key in responses if isinstance(responses, dict) else ():
            if not _RESPONSE_KEY.fullmatch(key):
                findings.add("response_code", f"{quoted(key)} is no response code.", *at, "responses", key)


def _bare(placeholder: str) -> str:
    """Return the name in ``proxy+``, ``+name``, ``;id*`` and ``id:[0-9]+``, as frameworks and gateways write them."""
    return placeholder.partition(":")[0].strip("+*;./?&#")


class _Parameters:
    """The parameters of one path item or operation: the names of those in the path, and whether all could be read."""

    def __init__(self, node: Node, references: References, findings: Findings, *at: str) -> None:
        self.in_path: set[str] = set()
        self.complete = "$ref" not in node or references.resolve({"$ref": node["$ref"]}) is not None
        seen: set[tuple[str, str]] = set()
        parameters = node.get("parameters")
        references.count(parameters)
        if parameters is not None and not isinstance(parameters, list):
            self.complete = False
            findings.add("unusable_parameters", "`parameters` is not a list.", *at, "parameters")
        for number, parameter in enumerate(parameters if isinstance(parameters, list) else ()):
            parameter = references.resolve(parameter)
            if not isinstance(parameter, dict):
                self.complete = False
                continue
            name, place = as_text(parameter.get("name")) or "", as_text(parameter.get("in")) or ""
            if (name, place) in seen:
                findings.add(
                    "duplicate_parameter", f"The {place} parameter {quoted(name)} is there twice.",
                    *at, "parameters", number,
                )  # fmt: skip
            seen.add((name, place))
            if place == "path":
                self.in_path.add(name)


def _check_fields(node: Node, known: frozenset[str], findings: Findings, *at: str) -> None:
    for key in node:
        if key not in known and not key.startswith("x-"):
            findings.add("unknown_field", f"{quoted(key)} means nothing to OpenAPI here; is it misspelt?", *at, key)
