"""The documents that this process has parsed lately: the next question is often about the same one."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from opdex.openapi.description import Findings
from opdex.openapi.document import Node, read_document
from opdex.openapi.limits import Budget, Limits
from opdex.openapi.operations import stored_path
from opdex.openapi.path_items import read_path_items
from opdex.openapi.references import References
from opdex.openapi.unpacking import unpack

# Unpacked. In memory it is about five times as much, in a function that also reads uploads.
MOST_BYTES: Final = 32 * 1024 * 1024


class DocumentOperation(NamedTuple):
    """An operation with the path item that it stands in; method and path are as they are stored."""

    method: str
    path: str
    item: Node
    node: Node


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """A document, and its operations in its order."""

    node: Node
    operations: list[DocumentOperation]
    bytes: int

    def operation(self, method: str, path: str, position: int) -> DocumentOperation | None:
        """Return the operation stored as that, None where there is none.

        It is at its position, unless another release stored it that left other operations out.
        """
        for operation in (*self.operations[position : position + 1], *self.operations):
            if (operation.method, operation.path) == (method, path):
                return operation
        return None


class ParsedDocuments:
    """Parses documents, and keeps those that were used last."""

    def __init__(self, limits: Limits, most_bytes: int = MOST_BYTES) -> None:
        self._limits = limits
        self._most_bytes = most_bytes
        self._kept: OrderedDict[str, ParsedDocument] = OrderedDict()

    def get(self, sha256: str, load: Callable[[], bytes]) -> ParsedDocument:
        """Return the document of this hash; ``load`` returns its octets, plain or gzip, where it is not kept.

        Raises what ``load`` raises, and a DocumentError where the limits have become narrower than its reader's were.
        """
        if sha256 not in self._kept:
            self._keep(sha256, document := self._parse(load()))
            return document
        self._kept.move_to_end(sha256)
        return self._kept[sha256]

    def references(self, document: ParsedDocument) -> References:
        """Return what resolves the references of a document, under the limits on one."""
        return References(document.node, Budget(self._limits))

    def _parse(self, octets: bytes) -> ParsedDocument:
        raw = unpack(octets, self._limits.max_bytes)
        budget, findings = Budget(self._limits), Findings()
        node = read_document(raw, budget, findings)
        items = read_path_items(node, "paths", References(node, budget), budget, findings)
        operations = [
            DocumentOperation(written.method, path, item.node, written.node)
            for item in items
            for path in (stored_path(item.name),)
            for written in item.operations
        ]
        return ParsedDocument(node, operations, len(raw))

    def _keep(self, sha256: str, document: ParsedDocument) -> None:
        if document.bytes > self._most_bytes:
            return
        self._kept[sha256] = document
        while sum(kept.bytes for kept in self._kept.values()) > self._most_bytes:
            self._kept.popitem(last=False)
