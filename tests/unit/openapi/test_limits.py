import json
import time
from dataclasses import fields
from typing import Any

import pytest

from opdex.errors import DocumentTooComplex, TooLarge
from opdex.openapi import Limits, describe
from opdex.settings import DocumentSettings

DOCUMENT = {
    "openapi": "3.1.0",
    "info": {"title": "T"},
    "paths": {"/x": {"get": {"$ref": "#/x-get"}}},
    "x-get": {"summary": "Get"},
}


def test_the_defaults_of_the_settings_are_those_of_the_limits() -> None:
    assert Limits.of(DocumentSettings()) == Limits()


def test_each_limit_is_a_setting() -> None:
    settings = DocumentSettings(
        max_document_bytes=1, max_document_depth=2, max_document_nodes=3, max_document_expansion=4, max_operations=5,
        max_document_text=6, max_document_seconds=7.0,
    )  # fmt: skip
    assert Limits.of(settings) == Limits(1, 2, 3, 4, 5, 6, 7.0)


@pytest.mark.parametrize("name", [field.name for field in fields(Limits)])
def test_a_limit_that_is_passed_is_named_with_its_value(name: str) -> None:
    value: Any = 0.0 if name == "max_seconds" else 0
    with pytest.raises((DocumentTooComplex, TooLarge), match=f"{value:g}.*{name}") as caught:
        describe(json.dumps(DOCUMENT).encode(), Limits(**{name: value}))
    assert caught.value.details == {"limit": name, "value": value}


def test_the_time_is_counted_from_where_the_work_began() -> None:
    limits = Limits(max_seconds=60.0)
    raw = json.dumps(DOCUMENT).encode()
    assert describe(raw, limits, began=time.monotonic()).operations
    with pytest.raises(DocumentTooComplex, match="max_seconds"):
        describe(raw, limits, began=time.monotonic() - 61)
