"""Webhooks: the requests that an API makes itself. They are listed; nobody can call them, so none is an operation."""

from opdex.openapi.description import Findings, Webhook
from opdex.openapi.document import Node
from opdex.openapi.limits import Budget
from opdex.openapi.operations import as_text, is_set
from opdex.openapi.path_items import read_path_items
from opdex.openapi.plain_text import cut, on_one_line
from opdex.openapi.references import References

MAX_WEBHOOKS, MAX_WEBHOOK_NAME, MAX_WEBHOOK_SUMMARY = 500, 200, 500
# Before OpenAPI 3.1 there was an extension for them.
_FIELDS = ("webhooks", "x-webhooks")


def read_webhooks(document: Node, references: References, budget: Budget, findings: Findings) -> tuple[Webhook, ...]:
    """Return the document's webhooks in its order, each with a first line on what it tells."""
    field = next((field for field in _FIELDS if field in document), _FIELDS[0])
    webhooks = []
    for item in read_path_items(document, field, references, budget, findings):
        for operation in item.operations:
            node = operation.node
            webhooks.append(
                Webhook(
                    name=_line(item.name, MAX_WEBHOOK_NAME),
                    method=operation.method,
                    operation_id=_line(node.get("operationId"), MAX_WEBHOOK_NAME),
                    summary=_line(node.get("summary"), MAX_WEBHOOK_SUMMARY)
                    or _line(node.get("description"), MAX_WEBHOOK_SUMMARY)
                    or _line(item.node.get("summary"), MAX_WEBHOOK_SUMMARY),
                    deprecated=is_set(node.get("deprecated")),
                )
            )
    if len(webhooks) > MAX_WEBHOOKS:
        findings.add("more_webhooks", f"Only the first {MAX_WEBHOOKS} of {len(webhooks)} webhooks are listed.", field)
    return tuple(webhooks[:MAX_WEBHOOKS])


def _line(written: object, limit: int) -> str:
    return cut(on_one_line(cut(as_text(written) or "", 4 * limit)), limit)
