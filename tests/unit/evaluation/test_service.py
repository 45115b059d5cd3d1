from typing import Any

import pytest

from tests.evaluation.query_sets import QuerySet, plan_runs
from tests.evaluation.service import Service

_RUN = plan_runs([QuerySet("pets_1", (("pets.json", "list all pets"),))])[0]
_RANKINGS = {"best": {"ranking": "hybrid"}}


def _answering(monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any]) -> Service:
    monkeypatch.setattr(Service, "_call", lambda *_, **__: {"operations": [], **answer})
    return Service("http://127.0.0.1:1", "key")


def test_line_is_what_was_found_when_it_was_ranked_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [{"method": "GET", "path": "/pets", "spec_name": "pets"}]
    service = _answering(monkeypatch, {"ranking": "hybrid", "operations": found})

    (lines,) = service.ranked(_RUN, _RANKINGS)
    assert lines["best"] == {"set": "pets_1", "query_index": 0, "ranked": ["GET /pets"], "pooled": False}


@pytest.mark.parametrize(
    "answer", [{"ranking": "lexical"}, {"ranking": "hybrid", "note": "1 spec is not indexed yet."}]
)
def test_evaluation_fails_when_an_answer_is_not_ranked_as_asked(
    monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any]
) -> None:
    with pytest.raises(RuntimeError, match="Query 0 of pets_1 was not ranked as asked"):
        [*_answering(monkeypatch, answer).ranked(_RUN, _RANKINGS)]
