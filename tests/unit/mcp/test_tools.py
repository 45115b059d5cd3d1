"""What search_operations makes of what search found, and how its arguments are refused."""

import json
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import pytest

from opdex.mcp.tools import BYTES_A_TOKEN, Tool, ToolFailed, make_tools
from opdex.openapi.limits import Limits
from opdex.search import FoundOperation, SearchAnswer, SearchRequest


class _NoDatabase:
    def transaction(self) -> Any:
        return nullcontext()


def _tool(name: str, found: Sequence[FoundOperation] = (), note: str | None = None) -> Tool:
    """Return a tool over a search that finds these, at most as many as it is asked for."""

    def search(asked: SearchRequest) -> SearchAnswer:
        shown = list(found[: asked.limit])
        return SearchAnswer(operations=shown, ranking="hybrid", note=note, has_more=len(shown) < len(found))

    return next(tool for tool in make_tools(_NoDatabase(), search, Limits()) if tool.name == name)


def _operation(**said: Any) -> FoundOperation:
    fields = {
        "catalog_id": "crm",
        "spec_name": "users",
        "operation_id": "readUser",
        "method": "GET",
        "path": "/users/{id}",
        "summary": "Read a user",
        "description": "",
        "tags": [],
        "deprecated": False,
        "score": 1.0,
        "matched": ["semantic"],
    }
    return FoundOperation(**fields | said)


_LARGE = _operation(
    operation_id="o" * 500,
    path="/" + "字" * 1_999,
    summary="s" * 1_000,
    clause="c" * 900,
    needed_by="GET /" + "字" * 1_999,
)


def _size(answer: dict[str, Any]) -> int:
    return len(json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode())


@pytest.mark.parametrize("max_tokens", [8_000, 20_000])
@pytest.mark.parametrize("note", [None, "Ranked by words alone: " + "the provider is away. " * 20])
def test_answer_keeps_to_its_tokens_and_counts_the_rest_when_much_is_found(max_tokens: int, note: str | None) -> None:
    answer = _tool("search_operations", [_LARGE] * 50, note).call({"query": "x", "limit": 50, "max_tokens": max_tokens})
    shown = len(answer["operations"])
    assert 0 < shown < 50
    assert _size(answer) <= max_tokens * BYTES_A_TOKEN
    assert answer["note"].startswith(note or "The last")
    assert answer["note"].endswith(f"The last {50 - shown} of 50 found have no room in `max_tokens`.")


def test_all_are_shown_by_default_when_they_are_as_usual() -> None:
    answer = _tool("search_operations", [_operation(summary="s" * 200)] * 50).call({"query": "x", "limit": 50})
    assert len(answer["operations"]) == 50
    assert "note" not in answer


def test_first_is_shown_whole_when_it_alone_is_too_long() -> None:
    answer = _tool("search_operations", [_LARGE] * 50).call({"query": "x", "limit": 2, "max_tokens": 500})
    (shown,) = answer["operations"]
    assert (shown["operation_id"], shown["path"], shown["needed_by"]) == (
        _LARGE.operation_id,
        _LARGE.path,
        _LARGE.needed_by,
    )
    assert (len(shown["summary"]), len(shown["clause"])) == (300, 300)
    assert answer["note"].startswith("The last 1 of 2 found have no room in `max_tokens`.")


def test_note_tells_that_there_are_more_when_the_list_is_cut_by_its_limit() -> None:
    found, more = [_operation()] * 11, "There are more: raise `limit` (50 at most), or narrow the search."
    assert _tool("search_operations", found).call({"query": "x"})["note"] == more
    assert _tool("search_operations", found, "Why.").call({"query": "x"})["note"] == f"Why. {more}"
    assert "note" not in _tool("search_operations", found).call({"query": "x", "limit": 11})


def test_answer_keeps_to_its_tokens_when_there_are_more_beside_those_without_room() -> None:
    answer = _tool("search_operations", [_LARGE] * 51).call({"query": "x", "limit": 50, "max_tokens": 20_000})
    assert _size(answer) <= 20_000 * BYTES_A_TOKEN
    assert "no room in `max_tokens`. There are more: " in answer["note"]


def test_nothing_is_left_out_when_nothing_is_found() -> None:
    assert _tool("search_operations").call({"query": "x"}) == {"operations": []}


@pytest.mark.parametrize(
    ("name", "field", "most"),
    [
        ("search_operations", "query", 1_000),
        ("search_operations", "tag", 500),
        ("get_operation", "operation_id", 2_100),
        ("get_operation", "at", 8_000),
    ],
)
def test_refusal_counts_characters_when_a_text_is_too_long(name: str, field: str, most: int) -> None:
    tool = _tool(name)
    with pytest.raises(ToolFailed, match=f"{field}: String should have at most {most} characters"):
        tool.call({field: "x" * (most + 1)})
    schema = tool.arguments.model_json_schema()["properties"][field]
    schema = schema.get("anyOf", [schema])[0]
    assert (schema["minLength"], schema["maxLength"]) == (1, most)
