"""Path items: what stands under `paths` and `webhooks`, resolved, with the operations that are written in each."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from opdex.openapi.description import Findings
from opdex.openapi.document import Node
from opdex.openapi.limits import Budget
from opdex.openapi.plain_text import quoted
from opdex.openapi.references import References

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")
ADDITIONAL = "additionalOperations"
PATH_ITEM_FIELDS = frozenset({*METHODS, ADDITIONAL, "$ref", "summary", "description", "servers", "parameters"})
METHOD_PATTERN = "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,20}$"
_METHOD = re.compile(METHOD_PATTERN)

type Pointer = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WrittenOperation:
    """An operation as the document has it: ``method`` as it is sent, ``pointer`` to where it is written."""

    method: str
    pointer: Pointer
    node: Node


@dataclass(frozen=True, slots=True)
class PathItem:
    """The path items of one name: a path, or what a webhook is called, as the document writes it."""

    name: str
    pointer: Pointer
    node: Node
    operations: tuple[WrittenOperation, ...]


def read_path_items(
    document: Node, field: str, references: References, budget: Budget, findings: Findings
) -> list[PathItem]:
    """Return each path item of that field of the document, in its order; what is none is skipped with a warning."""
    named = references.resolve(document.get(field))
    if named is None:
        return []
    if not isinstance(named, dict):
        findings.add("unusable_paths", f"`{field}` is not a mapping, so it has no operations.", field)
        return []
    reader = _Reader(references, budget, findings)
    items = (reader.path_item(name, written, field) for name, written in named.items() if not name.startswith("x-"))
    return [item for item in items if item is not None]


class _Reader:
    def __init__(self, references: References, budget: Budget, findings: Findings) -> None:
        self._references = references
        self._budget = budget
        self._findings = findings

    def path_item(self, name: str, written: Any, field: str) -> PathItem | None:
        self._budget.check_time()
        pointer = (field, name)
        node = self._references.resolve(written)
        if not isinstance(node, dict):
            if not isinstance(written, dict):  # an unresolved reference has its own warning
                self._findings.add("unusable_path_item", f"{quoted(name)} is not a mapping; skipped.", *pointer)
            return None
        operations = tuple(self._operations(node, pointer))
        if node and not operations and not any(key in PATH_ITEM_FIELDS or key.startswith("x-") for key in node):
            self._findings.add(
                "unusable_path_item", f"What stands at {quoted(name)} is no path item; skipped.", *pointer
            )
            return None
        return PathItem(name, pointer, node, operations)

    def _operations(self, item: Node, at: Pointer) -> Iterator[WrittenOperation]:
        seen: set[str] = set()
        for key, written in item.items():
            method = key.lower()
            if method in METHODS:
                if key != method:
                    if method in item or method in seen:
                        message = f"{quoted(key)} is there beside another spelling of it; skipped."
                        self._findings.add("unusable_operation", message, *at, key)
                        continue
                    seen.add(method)
                    self._findings.add("method_case", f"{quoted(key)} is read as `{method}`.", *at, key)
                yield from self._operation(method.upper(), written, (*at, key))
            elif key == ADDITIONAL:
                yield from self._additional(item, (*at, key))

    def _additional(self, item: Node, at: Pointer) -> Iterator[WrittenOperation]:
        written = self._references.resolve(item[ADDITIONAL])
        for method, operation in written.items() if isinstance(written, dict) else ():
            if method.startswith("x-"):
                continue
            if not _METHOD.fullmatch(method):
                self._findings.add("unusable_operation", f"{quoted(method)} is no HTTP method; skipped.", *at, method)
            elif method.lower() in METHODS and method.lower() in item:
                message = f"{quoted(method)} has a field of its own in this path item; skipped here."
                self._findings.add("unusable_operation", message, *at, method)
            else:
                yield from self._operation(method, operation, (*at, method))

    def _operation(self, method: str, written: Any, at: Pointer) -> Iterator[WrittenOperation]:
        node = self._references.resolve(written)
        if written is None:
            self._findings.add("empty_operation", f"Nothing is said about {method} {quoted(at[1])}.", *at)
        elif not isinstance(written, dict):
            self._findings.add("unusable_operation", f"{method} {quoted(at[1])} is not a mapping; skipped.", *at)
            return
        self._budget.take_operation()
        # Where a reference leads out of the document there is still a method and a path to find.
        yield WrittenOperation(method, at, node if isinstance(node, dict) else {})
