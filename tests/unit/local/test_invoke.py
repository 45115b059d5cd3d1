"""What ``make invoke`` refuses, before it builds or starts anything."""

from typing import Never

import pytest

from local.build import PROJECT
from local.invoke import main


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "Name an event: make invoke EVENT=events/search_operations.json; "),
        (("nowhere.json",), "EVENT nowhere.json cannot be read (No such file or directory): name a file of events/."),
        ((str(PROJECT / "Makefile"),), f"EVENT {PROJECT / 'Makefile'} is no JSON ("),
        (
            ("events/search_operations.json", "docs/examples/weather.json"),
            "docs/examples/weather.json is no event's file: its name begins with one of api, ",
        ),
    ],
)
def test_nothing_is_built_when_an_event_is_none(
    arguments: tuple[str, ...],
    complaint: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def build(_: object) -> Never:
        raise AssertionError("it is built")

    monkeypatch.chdir(PROJECT)
    monkeypatch.setattr("local.invoke.building", build)
    monkeypatch.setattr("local.invoke.signal.signal", lambda *_: None)  # the handlers here are pytest's
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(complaint)
    assert said.err.count("\n") == 1
