import json
import time
from dataclasses import fields, replace
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


# As errors and docs/configuration.md name them.
SETTINGS = {
    "max_bytes": "MAX_DOCUMENT_BYTES",
    "max_depth": "MAX_DOCUMENT_DEPTH",
    "max_nodes": "MAX_DOCUMENT_NODES",
    "max_expansion": "MAX_DOCUMENT_EXPANSION",
    "max_operations": "MAX_OPERATIONS",
    "max_text": "MAX_DOCUMENT_TEXT",
    "max_seconds": "MAX_DOCUMENT_SECONDS",
    "max_files": "MAX_ARCHIVE_FILES",
    "max_ratio": "MAX_ARCHIVE_RATIO",
}
OF_ARCHIVES = {"max_files", "max_ratio"}  # see test_archive.py


def test_each_limit_is_a_setting_and_has_its_default() -> None:
    assert [limit.name for limit in fields(Limits)] == [*SETTINGS]
    assert Limits.of(DocumentSettings()) == Limits()


@pytest.mark.parametrize(("limit", "setting"), SETTINGS.items())
def test_limit_follows_its_setting(limit: str, setting: str) -> None:
    said = DocumentSettings.model_validate({setting.lower(): 7})

    assert Limits.of(said) == replace(Limits(), **{limit: 7})


@pytest.mark.parametrize("name", [name for name in SETTINGS if name not in OF_ARCHIVES])
def test_a_limit_that_is_passed_is_told_with_its_setting_and_value(name: str) -> None:
    value: Any = 0.0 if name == "max_seconds" else 0
    with pytest.raises((DocumentTooComplex, TooLarge), match=f"{value:g}.*\\({SETTINGS[name]}\\)") as caught:
        describe(json.dumps(DOCUMENT).encode(), Limits(**{name: value}))
    assert caught.value.details == {"limit": name, "value": value}


def test_the_time_is_counted_from_where_the_work_began() -> None:
    limits = Limits(max_seconds=60.0)
    raw = json.dumps(DOCUMENT).encode()
    assert describe(raw, limits, began=time.monotonic()).operations
    with pytest.raises(DocumentTooComplex, match="MAX_DOCUMENT_SECONDS"):
        describe(raw, limits, began=time.monotonic() - 61)
