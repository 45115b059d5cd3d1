"""OpenAPI documents: from bytes to operations, each with the one text that is embedded for it. No I/O."""

from opdex.openapi.base_path import read_base_path
from opdex.openapi.checks import check
from opdex.openapi.description import Description, Findings, Operation, Warning, Webhook  # noqa: A004 - see there
from opdex.openapi.document import openapi_version, read_document, survey
from opdex.openapi.limits import Budget, Limits
from opdex.openapi.operation_text import TEXT_SCHEME, hash_text
from opdex.openapi.operations import as_text, read_operations
from opdex.openapi.path_items import read_path_items
from opdex.openapi.plain_text import cut, on_one_line
from opdex.openapi.references import References
from opdex.openapi.unpacking import unpack
from opdex.openapi.webhooks import read_webhooks

__all__ = ["TEXT_SCHEME", "Description", "Limits", "Operation", "Warning", "Webhook", "describe", "hash_text", "unpack"]

MAX_TITLE = 300


def describe(
    raw: bytes,
    limits: Limits = Limits(),  # noqa: B008 - it is immutable
    began: float | None = None,
) -> Description:
    """Return what an OpenAPI 2.0 or 3.0 to 3.2 document in JSON or YAML (unpacked) says.

    ``began``: when the work on it began, on the monotonic clock, where that was before.

    Raises a DocumentError, or TooLarge, with a message that says what to mend, and nothing else whatever the bytes are.
    What can be repaired or skipped is, with a warning.
    """
    findings, budget = Findings(), Budget(limits, began)
    document = read_document(raw, budget, findings)
    version = openapi_version(document)
    mentioned = survey(document, budget)
    references = References(document, budget)
    items = read_path_items(document, "paths", references, budget, findings)
    operations = read_operations(items, references, budget, findings)
    webhooks = read_webhooks(document, references, budget, findings)
    references.report(mentioned, findings)
    check(document, items, references, findings)
    info = document.get("info")
    title = as_text(info.get("title")) if isinstance(info, dict) else ""
    return Description(
        title=cut(on_one_line(title or ""), MAX_TITLE),
        openapi_version=version,
        base_path=read_base_path(document),
        operations=operations,
        webhooks=webhooks,
        warnings=findings.warnings(),
    )
