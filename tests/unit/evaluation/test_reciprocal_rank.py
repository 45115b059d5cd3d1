from typing import Any

import pytest

from tests.evaluation.reciprocal_rank import fuse, fused


def _line(number: int, *ranked: str) -> dict[str, Any]:
    return {"set": "pets", "query_index": number, "ranked": [*ranked], "pooled": False}


def test_what_both_have_comes_first_when_ranks_are_fused() -> None:
    assert fuse(["a", "b", "c"], ["d", "c"]) == ["c", "a", "d", "b"]
    assert fuse([], ["a"]) == ["a"]


def test_first_ranking_decides_when_ranks_are_equal() -> None:
    assert fuse(["a", "b"], ["b", "a"]) == ["a", "b"]
    assert fuse(["b", "a"], ["a", "b"]) == ["b", "a"]


def test_each_query_is_fused_when_both_rankings_have_it() -> None:
    lines = [*fused([_line(0, "a"), _line(1)], [_line(0, "b", "a"), _line(1, "c")])]

    assert lines == [_line(0, "a", "b"), _line(1, "c")]


def test_nothing_is_fused_when_the_queries_are_others() -> None:
    with pytest.raises(ValueError, match="not of the same queries"):
        list(fused([_line(0)], [_line(1)]))
