"""What else is said around an operation, for search by words: the names of its parameters, of its body, of its
answer."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from opdex.openapi.description import Fields
from opdex.openapi.document import Node
from opdex.openapi.plain_text import cut, on_one_line
from opdex.openapi.references import References

MAX_NAMES, MAX_NAME, MAX_LINE, MAX_TEXT = 100, 100, 2_000, 600
# Of one document: what many refer to is said as often. Operations past that are found by their own texts.
MAX_CHARACTERS = 10_000_000
# A list comes in a wrapper: what it holds is one schema further in.
WRAPPERS = ("items", "results", "data", "entries")
_MAX_DEPTH, _MAX_PARTS = 3, 8


class _Schema(NamedTuple):
    names: tuple[str, ...] = ()
    properties: tuple[str, ...] = ()


class FieldReader:
    """Reads the fields of a document's operations, OpenAPI 2.0 and 3.x alike; what is referred to often is read
    once."""

    def __init__(self, references: References) -> None:
        self._references = references
        self._parameters: dict[str, Node] = {}
        self._schemas: dict[tuple[str, int], _Schema] = {}
        self._room = MAX_CHARACTERS

    def fields(self, item: Node, operation: Node) -> Fields:
        """Return the fields of the operation of this path item; empty ones where others took all the room."""
        if self._room <= 0:
            return Fields()
        fields = self._read(item, operation)
        self._room -= sum(len(getattr(fields, name)) for name in Fields.__slots__)
        return fields

    def _read(self, item: Node, operation: Node) -> Fields:
        names: list[str] = []
        path_names: list[str] = []
        descriptions: list[str] = []
        body: list[str] = []
        for parameter in (*self._parameters_of(item), *self._parameters_of(operation)):
            place, name = parameter.get("in"), parameter.get("name")
            if place == "body":
                body += self._schema(parameter.get("schema")).properties
            elif isinstance(name, str):
                (body if place == "formData" else names).append(name)
                if place == "path":
                    path_names.append(name)
                descriptions.append(_text(parameter, "description"))
        for schema in self._media_schemas(self._references.resolve(operation.get("requestBody"))):
            body += schema.properties
        answer = self._first_success(operation)
        answered = [self._schema(answer.get("schema")), *self._media_schemas(answer)]
        return Fields(
            parameters=_line(names),
            path_parameters=_line(path_names),
            parameter_descriptions=cut(" ".join(filter(None, descriptions[:MAX_NAMES])), MAX_TEXT),
            body_properties=_line(body),
            response_description=_text(answer, "description"),
            response_schema=_line(name for schema in answered for name in schema.names),
            response_properties=_line(name for schema in answered for name in schema.properties),
        )

    def _parameters_of(self, owner: Node) -> Iterator[Node]:
        written = self._references.resolve(owner.get("parameters"))
        for parameter in written[:MAX_NAMES] if isinstance(written, list) else ():
            if isinstance(parameter, dict):
                reference = parameter.get("$ref")
                yield self._parameter(reference) if isinstance(reference, str) else parameter

    def _parameter(self, reference: str) -> Node:
        if reference not in self._parameters:
            resolved = self._references.resolve({"$ref": reference})
            self._parameters[reference] = resolved if isinstance(resolved, dict) else {}
        return self._parameters[reference]

    def _first_success(self, operation: Node) -> Node:
        """Return the first 2xx answer, else the default one."""
        answers = self._references.resolve(operation.get("responses"))
        if not isinstance(answers, dict):
            return {}
        code = next((code for code in answers if code.startswith("2")), "default")
        answer = self._references.resolve(answers.get(code))
        return answer if isinstance(answer, dict) else {}

    def _media_schemas(self, body: Any) -> Iterator[_Schema]:
        content = self._references.resolve(body.get("content")) if isinstance(body, dict) else None
        for written in list(content.values())[:_MAX_PARTS] if isinstance(content, dict) else ():
            media = self._references.resolve(written)
            if isinstance(media, dict):
                yield self._schema(media.get("schema"))

    def _schema(self, written: Any, depth: int = 0) -> _Schema:
        """Return what the schema is called, with those that it wraps, combines or lists, and their properties."""
        if not isinstance(written, dict) or depth > _MAX_DEPTH:
            return _Schema()
        reference = written.get("$ref")
        if not isinstance(reference, str):
            return self._written_schema(written, depth)
        key = reference, depth
        if key not in self._schemas:
            self._schemas[key] = _Schema()  # for one that leads to itself
            resolved = self._references.resolve({"$ref": reference})
            inner = self._written_schema(resolved, depth) if isinstance(resolved, dict) else _Schema()
            self._schemas[key] = _Schema((reference.rsplit("/", 1)[-1], *inner.names), inner.properties)
        return self._schemas[key]

    def _written_schema(self, schema: Node, depth: int) -> _Schema:
        named = self._references.resolve(schema.get("properties"))
        properties = list(named)[:MAX_NAMES] if isinstance(named, dict) else []
        parts = [named[name] for name in WRAPPERS if name in named] if isinstance(named, dict) else []
        parts.append(schema.get("items"))
        for keyword in ("allOf", "oneOf", "anyOf"):
            combined = schema.get(keyword)
            parts += combined[:_MAX_PARTS] if isinstance(combined, list) else []
        inner = [self._schema(part, depth + 1) for part in parts]
        names = _distinct(name for part in inner for name in part.names)
        return _Schema(names, _distinct((*properties, *(name for part in inner for name in part.properties))))


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(islice(dict.fromkeys(names), MAX_NAMES))


def _text(node: Node, field: str) -> str:
    written = node.get(field)
    return cut(on_one_line(cut(written, 2 * MAX_TEXT)), MAX_TEXT) if isinstance(written, str) else ""


def _line(names: Iterable[str]) -> str:
    return cut(on_one_line(" ".join(_distinct(cut(name, MAX_NAME) for name in names))), MAX_LINE)
