"""How the checks are run, and what is said of them."""

import sys

import pytest

import checks.__main__ as runner
from checks.errors import NOT_DONE
from checks.table import CHECKS, Check


def _ending(name: str, status: int, words: str = "") -> Check:
    return Check(name, f"ends with {status}", (sys.executable, "-c", f"print({words!r}); raise SystemExit({status})"))


def test_each_check_has_a_line_and_its_words_when_it_is_not_fine(capsys: pytest.CaptureFixture[str]) -> None:
    outcomes = runner.run_all([_ending("good", 0, "quiet"), _ending("bad", 1, "line 7")], print)

    said = capsys.readouterr().out
    assert {outcome.check.name: outcome.verdict for outcome in outcomes} == {"good": "ok", "bad": "FAILED"}
    assert "quiet" not in said
    assert "line 7" in said
    assert sorted(line.split()[:2] for line in said.splitlines() if "ends with" in line) == [
        ["FAILED", "bad"],
        ["ok", "good"],
    ]


@pytest.mark.parametrize(
    ("checks", "is_required", "wrong"),
    [
        ((_ending("good", 0),), True, None),
        ((_ending("good", 0), _ending("bad", 2), _ending("worse", -9 % 256)), False, "Failed: bad, worse."),
        ((_ending("audit", NOT_DONE),), False, None),
        ((_ending("audit", NOT_DONE),), True, "Failed: audit."),
    ],
)
def test_all_is_as_good_as_the_worst_when_checks_ended(
    monkeypatch: pytest.MonkeyPatch, checks: tuple[Check, ...], is_required: bool, wrong: str | None
) -> None:
    monkeypatch.setattr(runner, "CHECKS", checks)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    assert runner.main([], audit_is_required=is_required) == wrong


def test_what_was_not_done_is_said_last_when_all_else_is_fine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runner, "CHECKS", (_ending("audit", NOT_DONE, "nobody answers"), _ending("good", 0)))
    assert runner.main([], audit_is_required=False) is None
    said = capsys.readouterr().out.splitlines()
    assert "nobody answers" in said
    assert said[-1].startswith("NOT DONE: audit.")


def test_only_what_is_named_is_run_when_names_are_given(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runner, "CHECKS", (_ending("good", 0), _ending("bad", 1)))
    assert runner.main(["good"], audit_is_required=False) is None
    assert "bad" not in capsys.readouterr().out


def test_all_names_are_told_when_one_is_unknown() -> None:
    wrong = runner.main(["tests"], audit_is_required=False)
    assert wrong is not None
    assert all(check.name in wrong for check in CHECKS)
