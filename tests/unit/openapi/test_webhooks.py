from typing import Any

import pytest

from opdex.openapi import Limits
from opdex.openapi.description import Findings, Webhook
from opdex.openapi.limits import Budget
from opdex.openapi.references import References
from opdex.openapi.webhooks import MAX_WEBHOOKS, read_webhooks


def read(**document: Any) -> tuple[tuple[Webhook, ...], list[tuple[str, str]]]:
    findings, budget = Findings(), Budget(Limits())
    webhooks = read_webhooks(document, References(document, budget), budget, findings)
    return webhooks, [(warning.code, warning.pointer) for warning in findings.warnings()]


@pytest.mark.parametrize("field", ["webhooks", "x-webhooks"])
def test_a_webhook_is_read_with_what_is_said_about_it(field: str) -> None:
    operation = {"operationId": "petAdded", "summary": "A pet\nwas added", "deprecated": True}
    assert read(**{field: {"new pet": {"post": operation}}}) == (
        (Webhook("new pet", "POST", "petAdded", "A pet was added", True),),
        [],
    )


def test_a_webhook_without_summary_has_the_description_or_that_of_its_path_item() -> None:
    webhooks, _ = read(webhooks={"a": {"put": {"description": "It\nhappened."}}, "b": {"summary": "B", "post": {}}})
    assert [webhook.summary for webhook in webhooks] == ["It happened.", "B"]


def test_webhooks_are_found_behind_references() -> None:
    items = {"Shared": {"post": {"summary": "Shared"}}}
    webhooks, findings = read(
        webhooks={"a": {"$ref": "#/components/pathItems/Shared"}, "b": {"$ref": "other.yaml"}},
        components={"pathItems": items},
    )
    assert [(webhook.name, webhook.summary) for webhook in webhooks] == [("a", "Shared")]
    assert findings == []


@pytest.mark.parametrize("junk", [None, [], "x", {"a": None}, {"a": []}, {"a": {"post": [1]}}, {"x-a": {"post": {}}}])
def test_what_is_no_webhook_is_skipped(junk: Any) -> None:
    webhooks, findings = read(webhooks=junk)
    assert webhooks == ()
    assert {code for code, _ in findings} <= {"unusable_paths", "unusable_path_item", "unusable_operation"}


def test_only_the_first_webhooks_are_kept_and_the_rest_is_told() -> None:
    webhooks, findings = read(webhooks={f"hook{n}": {"post": {}} for n in range(MAX_WEBHOOKS + 3)})
    assert len(webhooks) == MAX_WEBHOOKS
    assert findings == [("more_webhooks", "/webhooks")]
