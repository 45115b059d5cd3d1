"""What a caller of an operation has to know: its parameters, its request body, its responses."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from opdex.mcp.excerpt import Part
from opdex.openapi.document import Node
from opdex.openapi.references import References

# What Swagger 2 leaves unsaid.
_JSON: Final = "application/json"
_MULTIPART: Final = "multipart/form-data"
_URL_ENCODED: Final = "application/x-www-form-urlencoded"


def interface(document: Node, item: Node, operation: Node, references: References) -> list[Part]:
    """Return the parts of an operation of a path item that it has.

    What Swagger 2 calls parameters in the body and of a form is the request body. Raises DocumentTooComplex.
    """
    parameters = list(_parameters(item, operation, references))
    parts = {
        "parameters": [parameter for parameter in parameters if parameter.get("in") not in ("body", "formData")],
        "request_body": _request_body(document, operation, parameters),
        "produces": _media_types(document, operation, "produces"),
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


def _request_body(document: Node, operation: Node, parameters: Sequence[Node]) -> Any:
    media_types = _media_types(document, operation, "consumes")
    for parameter in parameters:
        if parameter.get("in") == "body":
            return _body(parameter, media_types)
    fields = [parameter for parameter in parameters if parameter.get("in") == "formData"]
    return _form(fields, media_types) if fields else operation.get("requestBody")


def _media_types(document: Node, operation: Node, field: str) -> list[str]:
    """Return what Swagger 2 says once for all operations, and an operation for itself."""
    written: Any = operation.get(field) or document.get(field)
    return [media_type for media_type in written if isinstance(media_type, str)] if isinstance(written, list) else []


def _body(parameter: Node, media_types: Sequence[str]) -> Node:
    content = {media_type: {"schema": parameter.get("schema")} for media_type in media_types or [_JSON]}
    said = {name: parameter[name] for name in ("description", "required") if name in parameter}
    return {**said, "content": content}


def _form(fields: Sequence[Node], media_types: Sequence[str]) -> Node:
    """Return the fields of a form as the properties of a body; of the media types only those of forms can be meant."""
    usual = _MULTIPART if any(field.get("type") == "file" for field in fields) else _URL_ENCODED
    meant = [kind for kind in media_types if kind.partition(";")[0].strip().lower() in (_MULTIPART, _URL_ENCODED)]
    required = [str(field.get("name")) for field in fields if field.get("required") is True]
    properties = {
        str(field.get("name")): {name: said for name, said in field.items() if name not in ("in", "name", "required")}
        for field in fields
    }
    schema = {"type": "object"} | ({"required": required} if required else {}) | {"properties": properties}
    return {"content": {media_type: {"schema": schema} for media_type in meant or [usual]}}
