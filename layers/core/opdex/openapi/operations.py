"""The operations of a document: every method of every path, with what is said about it."""

from collections.abc import Iterable
from typing import Any

from opdex.openapi.description import Findings, Operation
from opdex.openapi.document import Node
from opdex.openapi.fields import FieldReader
from opdex.openapi.limits import Budget
from opdex.openapi.operation_text import MAX_DESCRIPTION as MAX_EMBEDDED
from opdex.openapi.operation_text import compose_text, hash_text
from opdex.openapi.path_items import PathItem, WrittenOperation
from opdex.openapi.plain_text import cut, on_one_line, quoted, storable
from opdex.openapi.references import References

MAX_OPERATION_ID, MAX_PATH, MAX_SUMMARY, MAX_DESCRIPTION = 500, 2000, 1000, 8000
MAX_TAGS, MAX_TAG = 50, 100


def read_operations(
    items: Iterable[PathItem], references: References, budget: Budget, findings: Findings
) -> tuple[Operation, ...]:
    """Return the operations of the paths, in the document's order; callbacks and webhooks are not among them.

    Each has an ``operation_id`` of its own: the document's, or "METHOD /path" where that is missing or repeated.
    """
    operations: list[Operation] = []
    taken: dict[str, int] = {}
    fields = FieldReader(references)
    for item in items:
        for written in item.operations:
            budget.check_time()
            operation = _Reader(item, written, references, findings).operation(taken, fields)
            operations.append(operation)
            budget.take_text(sum(map(len, (operation.path, operation.operation_id, *operation.tags))))
            budget.take_text(len(operation.summary) + len(operation.description))
    if not operations:
        findings.add("no_operations", "The document has no operation under `paths`, so there is nothing to find.")
    return tuple(operations)


class _Reader:
    """Reads one operation."""

    def __init__(self, item: PathItem, written: WrittenOperation, references: References, findings: Findings) -> None:
        self.item = item.node
        self.node = written.node
        self.references = references
        self.findings = findings
        self.tokens = written.pointer
        self.method = written.method
        self.path = item.name

    def operation(self, taken: dict[str, int], fields: FieldReader) -> Operation:
        if not self.path.lstrip().startswith("/"):
            self.findings.add(
                "path_without_slash", f"The path {quoted(self.path)} does not begin with a slash.", *self.tokens[:2]
            )
        path = self._line(_rooted(self.path), MAX_PATH, "path")
        summary, description = self._text(self.node, "summary"), self._text(self.node, "description")
        if not summary and not description:
            summary, description = self._text(self.item, "summary"), self._text(self.item, "description")
        summary = self._line(summary, MAX_SUMMARY, "summary")
        description = storable(self._bounded(description, MAX_DESCRIPTION, "description")).strip()
        given_id = self._line(self._text(self.node, "operationId"), MAX_OPERATION_ID, "operationId")
        text, is_cut = compose_text(self.method, path, given_id, summary, description)
        if is_cut:
            self.findings.add(
                "embedded_text_cut",
                f"More is said than a model reads: search by meaning knows the first {MAX_EMBEDDED} characters of a "
                "description, and fewer where summary or names are long.",
                *self.tokens,
            )
        return Operation(
            operation_id=self._identify(given_id, path, taken),
            method=self.method,
            path=path,
            summary=summary,
            description=description,
            tags=self._tags(),
            deprecated=is_set(self.node.get("deprecated")),
            text=text,
            text_hash=hash_text(text),
            fields=fields.fields(self.item, self.node),
        )

    def _identify(self, given_id: str, path: str, taken: dict[str, int]) -> str:
        """Return an id that is not taken yet. ``taken`` also holds the last number that was given to ids alike."""
        address = cut(f"{self.method} {path}", MAX_OPERATION_ID)
        operation_id = given_id or address
        if operation_id in taken:
            self.findings.add(
                "repeated_operation_id",
                f"The operationId {quoted(operation_id)} is used before; this one is known by its method and path.",
                *self.tokens,
            )
            operation_id = address
        stem = address[: MAX_OPERATION_ID - 12]
        while operation_id in taken:
            taken[stem] = taken.get(stem, 1) + 1
            operation_id = f"{stem} ({taken[stem]})"
        taken.setdefault(operation_id, 1)
        return operation_id

    def _tags(self) -> tuple[str, ...]:
        written = self.node.get("tags")
        if written is None:
            return ()
        self.references.count(written)
        tags = [
            self._line(as_text(_name_of(tag)) or "", MAX_TAG, "tags")
            for tag in (written if isinstance(written, list) else [written])
        ]
        usable = tuple(dict.fromkeys(filter(None, tags)))
        if not all(tags):
            self.findings.add("unusable_tag", "A tag that is no text was skipped.", *self.tokens, "tags")
        if len(usable) > MAX_TAGS:
            self.findings.add("text_cut", f"Only the first {MAX_TAGS} tags are kept.", *self.tokens, "tags")
        return usable[:MAX_TAGS]

    def _text(self, node: Node, field: str) -> str:
        text = as_text(node.get(field))
        if text is None:
            self.findings.add("not_text", f"`{field}` is not text; it was left out.", *self.tokens, field)
        return text or ""

    def _line(self, text: str, limit: int, field: str) -> str:
        return self._bounded(_line(text, limit), limit, field)

    def _bounded(self, text: str, limit: int, field: str) -> str:
        if len(text) > limit:
            self.findings.add("text_cut", f"`{field}` is cut to {limit} characters.", *self.tokens, field)
        return cut(text, limit)


def stored_path(written: str) -> str:
    """Return the path of operations as it is stored, whose path item has this name in its document."""
    return cut(_line(_rooted(written), MAX_PATH), MAX_PATH)


def _rooted(path: str) -> str:
    path = path.strip()
    return path if path.startswith("/") else f"/{path}"


def _line(text: str, limit: int) -> str:
    # Cut before and after: what many references lead to is read as often, however long it is.
    return on_one_line(cut(text, 4 * limit))


def is_set(value: Any) -> bool:
    """Return whether a value means yes, as it does in JSON, in any YAML, or as text."""
    return value is True or (isinstance(value, str) and value.lower() in ("true", "yes", "on"))


def _name_of(tag: Any) -> Any:
    """Return what a tag is called, also where it is written as where tags are declared."""
    return tag.get("name") if isinstance(tag, dict) else tag


def as_text(value: Any) -> str | None:
    """Return a scalar as text, "" for null, and None for what is no text at all."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else "" if value is None else None
