"""The operations of a document: every method of every path, with what is said about it."""

from typing import Any

from opdex.errors import DocumentTooComplex
from opdex.openapi.description import Findings, Operation
from opdex.openapi.document import Node
from opdex.openapi.limits import Limits
from opdex.openapi.operation_text import compose_text, hash_text
from opdex.openapi.plain_text import cut, on_one_line, quoted, storable
from opdex.openapi.references import References

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
PATH_ITEM_FIELDS = frozenset({*METHODS, "$ref", "summary", "description", "servers", "parameters"})

MAX_OPERATION_ID, MAX_PATH, MAX_SUMMARY, MAX_DESCRIPTION = 500, 2000, 1000, 8000
MAX_TAGS, MAX_TAG = 50, 100

type PathItems = list[tuple[str, Node]]


def path_items(document: Node, references: References, findings: Findings) -> PathItems:
    """Return each path, as the document writes it, with its path item, resolved."""
    found: PathItems = []
    paths = references.resolve(document.get("paths"))
    if paths is None:
        return found
    if not isinstance(paths, dict):
        findings.add("unusable_paths", "`paths` is not a mapping, so it has no operations.", "paths")
        return found
    for path, written in paths.items():
        if path.startswith("x-"):
            continue
        item = references.resolve(written)
        if isinstance(item, dict):
            if item and not any(key in PATH_ITEM_FIELDS or key.startswith("x-") for key in item):
                findings.add(
                    "unusable_path_item", f"What stands at {quoted(path)} is no path item; skipped.", "paths", path
                )
                continue
            found.append((path, item))
        elif not isinstance(written, dict):  # an unresolved reference has its own warning
            findings.add("unusable_path_item", f"The path {quoted(path)} is not a mapping; skipped.", "paths", path)
    return found


def read_operations(
    items: PathItems, references: References, limits: Limits, findings: Findings
) -> tuple[Operation, ...]:
    """Return the operations in the document's order; callbacks and webhooks are not among them.

    Each has an ``operation_id`` of its own: the document's, or "METHOD /path" where that is missing or repeated.
    """
    operations: list[Operation] = []
    taken: dict[str, int] = {}
    characters = 0
    for path, item in items:
        for method, written in item.items():
            if method not in METHODS:
                continue
            node = references.resolve(written)
            if not isinstance(node, dict):
                if not isinstance(written, dict):
                    findings.add(
                        "unusable_operation",
                        f"{method.upper()} {quoted(path)} is not a mapping; skipped.",
                        "paths", path, method,
                    )  # fmt: skip
                    continue
                node = {}  # its reference leads out of the document: there is still a method and a path to find
            if len(operations) >= limits.max_operations:
                raise DocumentTooComplex(
                    f"The document has more than {limits.max_operations} operations (max_operations); split it.",
                    limit="max_operations",
                    value=limits.max_operations,
                )
            operation = _Reader(path, method, item, node, references, findings).operation(taken)
            operations.append(operation)
            characters += len(operation.summary) + len(operation.description)
            if characters > limits.max_bytes:  # only many references to one long text can do that
                raise DocumentTooComplex(
                    f"The texts of the operations together are longer than {limits.max_bytes} (max_bytes); split it.",
                    limit="max_bytes",
                    value=limits.max_bytes,
                )
    if not operations:
        findings.add("no_operations", "The document has no operation under `paths`, so there is nothing to find.")
    return tuple(operations)


class _Reader:
    """Reads one operation."""

    def __init__(
        self, path: str, method: str, item: Node, node: Node, references: References, findings: Findings
    ) -> None:
        self.node = node
        self.references = references
        self.item = item
        self.findings = findings
        self.tokens = ("paths", path, method)
        self.method = method.upper()
        self.path = path

    def operation(self, taken: dict[str, int]) -> Operation:
        path = self.path
        if not path.startswith("/"):
            path = f"/{path}"
            self.findings.add(
                "path_without_slash", f"The path {quoted(self.path)} does not begin with a slash.", *self.tokens[:2]
            )
        path = self._line(path, MAX_PATH, "path")
        summary, description = self._text(self.node, "summary"), self._text(self.node, "description")
        if not summary and not description:
            summary, description = self._text(self.item, "summary"), self._text(self.item, "description")
        summary = self._line(summary, MAX_SUMMARY, "summary")
        description = storable(self._bounded(description, MAX_DESCRIPTION, "description")).strip()
        given_id = self._line(self._text(self.node, "operationId"), MAX_OPERATION_ID, "operationId")
        text = compose_text(self.method, path, given_id, summary, description)
        return Operation(
            operation_id=self._identify(given_id, path, taken),
            method=self.method,
            path=path,
            summary=summary,
            description=description,
            tags=self._tags(),
            deprecated=self.node.get("deprecated") in (True, "true"),
            text=text,
            text_hash=hash_text(text),
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
            self._line(as_text(tag) or "", MAX_TAG, "tags")
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
        # Cut before and after: what many references lead to is read as often, however long it is.
        return self._bounded(on_one_line(cut(text, 4 * limit)), limit, field)

    def _bounded(self, text: str, limit: int, field: str) -> str:
        if len(text) > limit:
            self.findings.add("text_cut", f"`{field}` is cut to {limit} characters.", *self.tokens, field)
        return cut(text, limit)


def as_text(value: Any) -> str | None:
    """Return a scalar as text, "" for null, and None for what is no text at all."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else "" if value is None else None
