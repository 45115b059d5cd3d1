"""From bytes to the mapping that an OpenAPI document is."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from opdex.errors import DocumentEmpty, DocumentUnreadable, NotOpenApi, UnsupportedVersion
from opdex.openapi.description import Findings
from opdex.openapi.limits import Budget
from opdex.openapi.numeral import Numeral
from opdex.openapi.plain_text import on_one_line, quoted
from opdex.openapi.unpacking import decode, hold_to_size

Node = Mapping[str, Any]

# One that never ends is taken to the end of the text: failing there would be tried again at each quote inside it.
_JSON_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_JSON_PIECE = re.compile(rf'(?:[^"]*+(?:{_JSON_STRING.pattern})?){{1,10000}}', re.DOTALL)
_JSON_COMMENT = re.compile(rf"({_JSON_STRING.pattern})|//[^\n]*+|/\*(?:[^*]++|\*(?!/))*+(?:\*/)?", re.DOTALL)
_JSON_COMMA = re.compile(rf"({_JSON_STRING.pattern})|,(?=\s*+[}}\]])", re.DOTALL)
_MAX_REPEATED = 1000  # mappings of which the keys that are there twice are told
_VERSION_2 = re.compile(r"2(?:\.0){0,2}")
_VERSION_3 = re.compile(r"3(?:\.[012](?:[.-][\w.-]{1,20})?)?")
# Text in braces that is no JSON may still be YAML's flow style; a large one never is, and reading it twice takes long.
_MAX_FLOW_YAML = 1024 * 1024
_OTHER_FORMATS = {
    "swaggerVersion": "a resource listing of Swagger 1", "asyncapi": "an AsyncAPI document",
    "arazzo": "an Arazzo document", "overlay": "an OpenAPI overlay", "smithy": "a Smithy model",
    "discoveryVersion": "a Google discovery document", "$schema": "a JSON schema",
}  # fmt: skip
# Under these stands data of the API, not its description; and under those every key is a name that the API chose.
DATA_FIELDS = frozenset({"example", "examples", "default", "enum", "const", "value"})
NAMING_FIELDS = frozenset({
    "properties", "patternProperties", "$defs", "definitions", "schemas", "parameters", "headers", "responses",
    "requestBodies", "links", "callbacks", "pathItems", "paths", "webhooks", "content", "mediaTypes", "encoding",
    "dependentSchemas", "securitySchemes", "additionalOperations",
})  # fmt: skip


def read_document(raw: bytes, budget: Budget, findings: Findings) -> Node:
    """Return the top mapping of a JSON or YAML document, in which every key is a string.

    Raises one of the DocumentError family, or TooLarge; nothing else, whatever the bytes are.
    """
    document = read_data(raw, budget, findings)
    if not isinstance(document, dict):
        kind = {list: "a list", str: "plain text", type(None): "empty"}.get(type(document), "a single value")
        raise NotOpenApi(f"The document is {kind}, not an OpenAPI description, which begins with `openapi: 3…`.")
    return document


def read_data(raw: bytes, budget: Budget, findings: Findings) -> object:
    """Return what JSON or YAML says, whatever it is. Raises as read_document does."""
    hold_to_size(raw, budget.limits.max_bytes)
    text = decode(raw)
    start = text[:4096].lstrip()[:1] or text.lstrip()[:1]
    if not start:
        raise DocumentEmpty("The document is empty; send an OpenAPI description in JSON or YAML.")
    if start == "<":
        raise NotOpenApi("This is an HTML or XML page, not an OpenAPI description; send the JSON or YAML itself.")
    return _read_json_or_yaml(text, budget, findings) if start in "{[" else _read_yaml(text, budget, findings)


def openapi_version(document: Node) -> str:
    """Return the version of the specification that the document says it follows, as text.

    Raises NotOpenApi where it says none, and UnsupportedVersion where it says one that is not understood.
    """
    for field in ("openapi", "swagger"):
        if field not in document:
            continue
        version = document[field]
        version = on_one_line(version).removeprefix("v") if isinstance(version, str) else ""
        if field == "openapi" and _VERSION_3.fullmatch(version):
            return version
        if field == "swagger" and _VERSION_2.fullmatch(version):
            return "2.0"
        raise UnsupportedVersion(
            f"`{field}: {quoted(document[field])}` is not understood; swagger 2.0 and openapi 3.0 to 3.2 are.",
            pointer=f"/{field}",
        )
    if "info" in document and "item" in document:
        raise NotOpenApi("This is a Postman collection; export the API as OpenAPI and send that.")
    if isinstance(document.get("log"), dict):
        raise NotOpenApi("This is an HTTP archive (HAR), not an OpenAPI description.")
    for field, other in _OTHER_FORMATS.items():
        if field in document:
            raise NotOpenApi(f"This is {other}, not an OpenAPI description; export the API as OpenAPI and send that.")
    raise NotOpenApi("The document has no `openapi` or `swagger` field with the version that it follows; add it.")


def survey(document: Node, budget: Budget) -> list[Node]:
    """Return every mapping that has a ``$ref``, and hold the document to the limits on depth and nodes."""
    references: list[Node] = []
    level: list[Any] = [document]
    depth = nodes = 0
    while level:
        depth += 1
        budget.check_depth(depth)
        budget.check_time()
        below: list[Any] = []
        for container in level:
            nodes += len(container)
            if type(container) is dict:
                if "$ref" in container and isinstance(container["$ref"], str):
                    references.append(container)
                below += [value for value in container.values() if type(value) in (dict, list)]
            else:
                below += [value for value in container if type(value) in (dict, list)]
        budget.check_nodes(nodes)
        level = below
    return references


def places(document: Node) -> Iterator[tuple[Node, list[str | int]]]:
    """Yield every mapping of the description with the keys that lead to it, in the document's order.

    The list of keys is one and the same and changes on the way. What examples, defaults and extensions hold is data of
    the API, not part of its description, and is left out.
    """
    path: list[str | int] = []
    yield document, path
    levels = [_inner(document, path)]
    while levels:
        found = next(levels[-1], None)
        if found is None:
            levels.pop()
            if path:
                path.pop()
            continue
        key, container = found
        path.append(key)
        if isinstance(container, dict):
            yield container, path
        levels.append(_inner(container, path))


def _inner(container: Any, path: list[str | int]) -> Iterator[tuple[str | int, Any]]:
    if isinstance(container, list):
        return ((n, value) for n, value in enumerate(container) if type(value) in (dict, list))
    # Under some keys every key is a name that the API chose, whatever it reads.
    named = bool(path) and path[-1] in NAMING_FIELDS
    return (
        (key, value)
        for key, value in container.items()
        if type(value) in (dict, list) and (named or not (key in DATA_FIELDS or key.startswith("x-")))
    )


def _read_yaml(text: str, budget: Budget, findings: Findings) -> object:
    from opdex.openapi.yaml_document import read_yaml  # most requests bring no document, and most documents are JSON

    return read_yaml(text, budget, findings)


def _read_json_or_yaml(text: str, budget: Budget, findings: Findings) -> object:
    try:
        return _read_json(text, budget, findings)
    except json.JSONDecodeError as error:
        problem = error
    try:
        document = _read_json(_without_comments(text), budget, findings, strict=False)
    except json.JSONDecodeError:
        pass
    else:
        findings.add("loose_json", f"{_json_problem(problem)} It was read all the same.")
        return document
    if len(text) <= _MAX_FLOW_YAML:
        try:
            return _read_yaml(text, budget, findings)
        except DocumentUnreadable:
            pass  # it looks like JSON, so the JSON error helps more
    raise DocumentUnreadable(_json_problem(problem), line=problem.lineno, column=problem.colno)


def _json_problem(error: json.JSONDecodeError) -> str:
    problem = error.msg.removesuffix(" at")
    return f"The document is not valid JSON at line {error.lineno}, column {error.colno}: {problem}."


def _without_comments(text: str) -> str:
    """Return JSON as its readers mean it: without comments, and without commas that nothing follows."""
    text = _JSON_COMMENT.sub(lambda found: found[1] or "", text)
    return _JSON_COMMA.sub(lambda found: found[1] or "", text)


def _read_json(text: str, budget: Budget, findings: Findings, *, strict: bool = True) -> object:
    # Counted before anything is built: a document of 64 MB can hold twenty million empty lists.
    if _separators(text) > budget.limits.max_nodes:
        nodes = 0
        for piece in _JSON_PIECE.finditer(text):
            nodes += _separators(_JSON_STRING.sub('""', piece[0]))
            budget.check_nodes(nodes)
    repeated: dict[int, tuple[dict[str, Any], list[str]]] = {}  # by identity; what is held is not freed and mistaken

    def mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        items = dict(pairs)
        if len(items) != len(pairs) and len(repeated) < _MAX_REPEATED:
            seen: set[str] = set()
            twice = [key for key, _ in pairs if key in seen or seen.add(key)]  # type: ignore[func-returns-value]
            repeated[id(items)] = items, twice
        return items

    try:
        # Numbers stay as written, as in YAML: `1.10` is a version, not 1.1.
        document = json.loads(
            text,
            strict=strict,
            object_pairs_hook=mapping,
            parse_int=Numeral,
            parse_float=Numeral,
            parse_constant=str,
        )
    except RecursionError:
        budget.check_depth(math.inf)
        raise
    if repeated and isinstance(document, dict):
        survey(document, budget)
        for container, tokens in places(document):
            budget.check_time()
            for key in repeated.get(id(container), ((), ()))[1]:
                findings.add(
                    "duplicate_key", f"The key {quoted(key)} is there twice; the last one is used.", *tokens, key
                )
    return document


def _separators(text: str) -> int:
    return text.count("{") + text.count("[") + text.count(",")
