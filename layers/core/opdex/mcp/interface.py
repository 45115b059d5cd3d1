"""What a caller of an operation has to know: its parameters, its request body, its responses."""

from collections.abc import Iterator
from typing import Any

from opdex.mcp.excerpt import Part
from opdex.openapi.document import Node
from opdex.openapi.references import References

_SWAGGER_2_MEDIA_TYPE = "application/json"


def interface(document: Node, item: Node, operation: Node, references: References) -> list[Part]:
    """Return the parts of an operation of a path item that it has.

    What Swagger 2 calls a parameter in the body is its request body. Raises DocumentTooComplex.
    """
    parameters = list(_parameters(item, operation, references))
    body = next((parameter for parameter in parameters if parameter.get("in") == "body"), None)
    parts = {
        "parameters": [parameter for parameter in parameters if parameter.get("in") != "body"],
        "request_body": operation.get("requestBody") if body is None else _body(document, operation, body),
        "responses": operation.get("responses"),
    }
    return [
        Part(name, (name,), node, "names" if name == "responses" else "entry") for name, node in parts.items() if node
    ]


def _parameters(item: Node, operation: Node, references: References) -> Iterator[Node]:
    """Yield the path item's parameters, each in the operation's own words where it has them, and then the rest."""
    merged: dict[tuple[str, str], Node] = {}
    for owner in (item, operation):
        written = references.resolve(owner.get("parameters"))
        for entry in written if isinstance(written, list) else ():
            parameter = references.resolve(entry)
            if isinstance(parameter, dict):
                merged[str(parameter.get("in")), str(parameter.get("name"))] = parameter
    yield from merged.values()


def _body(document: Node, operation: Node, parameter: Node) -> Node:
    media_types: Any = operation.get("consumes") or document.get("consumes")
    usable = [kind for kind in media_types if isinstance(kind, str)] if isinstance(media_types, list) else []
    content = {media_type: {"schema": parameter.get("schema")} for media_type in usable or [_SWAGGER_2_MEDIA_TYPE]}
    said = {name: parameter[name] for name in ("description", "required") if name in parameter}
    return {**said, "content": content}
