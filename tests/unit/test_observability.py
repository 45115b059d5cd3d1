"""What is written to the log, and how it is joined."""

import json
import re
import time
from typing import Any, get_args

import pytest

from local.build import PROJECT
from opdex import observability
from opdex.errors import DatabaseFailed, OpdexError
from opdex.observability import (
    billed,
    correlation_id,
    described,
    log_context,
    logger,
    measure,
    measure_request,
    metrics,
    observed,
    sane_id,
)
from tests.gateway import LambdaContext

_TEXT = "Read the secret summary"


@pytest.fixture(autouse=True)
def _nothing_measured_yet() -> None:
    metrics.clear_metrics()


def _written(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Return all members of the metric lines that were written, by name."""
    written: dict[str, Any] = {}
    for line in capsys.readouterr().out.splitlines():
        if "_aws" in (read := json.loads(line)):
            written |= read
    return written


@pytest.mark.parametrize("sent", ["0f6b7c1e-5f0d-4a53-9a39-6a3b1a6f8d21", "deploy.42_x", "a" * 64])
def test_id_from_outside_is_taken_when_it_is_sane(sent: str) -> None:
    assert sane_id(sent) == sent


@pytest.mark.parametrize(
    "sent",
    [None, "", "short", "a" * 65, "with a space", "line\nbreak", '{"json": true}', "-option-like", "ümlaute-x", 7],
)
def test_id_from_outside_is_left_when_it_is_not_sane(sent: object) -> None:
    assert sane_id(sent) is None


def test_keys_of_a_block_are_gone_after_it_and_those_before_are_back() -> None:
    with log_context(correlation_id="the-outer-one", job_id=1):
        with log_context(correlation_id="the-inner-one"):
            assert correlation_id() == "the-inner-one"
        assert correlation_id() == "the-outer-one"
        assert logger.get_current_keys()["job_id"] == 1
    assert correlation_id() is None
    assert "job_id" not in logger.get_current_keys()


def test_error_is_described_without_its_words() -> None:
    try:
        try:
            raise ValueError(_TEXT)
        except ValueError as cause:
            raise DatabaseFailed(cause="ValueError") from cause
    except DatabaseFailed as error:
        outer, inner = described(error)

    assert (outer["type"], inner["type"]) == ("DatabaseFailed", "ValueError")
    assert "test_observability.py" in str(inner["at"])
    assert _TEXT not in str((outer, inner))


def test_handler_raises_no_words_of_others_when_it_breaks(capsys: pytest.CaptureFixture[str]) -> None:
    @observed
    def handler(event: dict[str, Any], context: Any) -> Any:
        raise ValueError(_TEXT)

    with pytest.raises(OpdexError) as raised:
        handler({}, LambdaContext())

    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__
    assert _TEXT not in capsys.readouterr().out


def test_metrics_go_out_together_when_an_invocation_ends(capsys: pytest.CaptureFixture[str]) -> None:
    @observed
    @billed
    def handler(event: dict[str, Any], context: Any) -> Any:
        measure("TextsEmbedded", 3)
        measure("TextsEmbedded", 4)
        assert capsys.readouterr().out == ""

    handler({}, LambdaContext())

    written = _written(capsys)
    assert written["TextsEmbedded"] == [3, 4]
    assert written["BilledSeconds"][0] > 0
    handler({}, LambdaContext())
    assert _written(capsys)["BilledSeconds"][0] < 1  # warm: no imports


def test_metrics_go_out_once_a_minute_when_an_invocation_is_long(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now, written = [1000.0], []
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    @observed
    def handler(event: dict[str, Any], context: Any) -> Any:
        for texts, seconds in enumerate((59.9, 0.1, 59.9, 0.1, 1.0)):
            now[0] += seconds
            measure("TextsEmbedded", texts)
            written.append(_written(capsys).get("TextsEmbedded"))

    handler({}, LambdaContext())
    assert written == [None, [0, 1], None, [2, 3], None]
    assert _written(capsys)["TextsEmbedded"] == [4]

    now[0] += 3600.0
    written.clear()
    handler({}, LambdaContext())
    assert written == [None, [0, 1], None, [2, 3], None], "counted from the invocation's beginning"

    capsys.readouterr()
    now[0] += 3600.0
    measure("TextsEmbedded")
    assert _written(capsys) == {}, "there is no invocation"


def test_each_invocation_begins_without_the_keys_of_the_one_before() -> None:
    seen: list[object] = []

    @observed
    def handler(event: dict[str, Any], context: Any) -> Any:
        seen.append(correlation_id())
        logger.set_correlation_id("of-this-invocation")

    handler({}, LambdaContext())
    handler({}, LambdaContext())

    assert seen == [None, None]


def test_documented_metrics_are_those_that_are_emitted(capsys: pytest.CaptureFixture[str]) -> None:
    @observed
    def handler(event: dict[str, Any], context: Any) -> Any:
        for kind in (observability.Count, observability.Duration, observability.Latency):
            for name in get_args(kind.__value__):
                measure(name)
        measure_request("specs", 200, 0.1)

    handler({}, LambdaContext())

    emitted = {
        (metric["Name"], metric["Unit"].lower(), tuple(dimensions))
        for line in capsys.readouterr().out.splitlines()
        for directive in json.loads(line)["_aws"]["CloudWatchMetrics"]
        for metric in directive["Metrics"]
        for dimensions in directive["Dimensions"]
    }
    section = (PROJECT / "docs" / "operations.md").read_text().partition("## Metrics")[2].partition("\n## ")[0]
    together, _, apart = section.partition("These go out by themselves.")
    documented = {
        (name, unit, ("service",))
        for names, unit in re.findall(r"^\| (`.+?`) \| (\w+) \|", together, flags=re.MULTILINE)
        for name in re.findall(r"`(\w+)`", names)
    } | {
        (name, unit, tuple(re.findall(r"`(\w+)`", dimensions)))
        for name, unit, sets in re.findall(r"^\| `(\w+)` \| (\w+) \| (.+?) \|", apart, flags=re.MULTILINE)
        for dimensions in sets.split(";")
    }
    assert documented == emitted
