"""When the build counts as stale."""

import fcntl
from pathlib import Path

import pytest

from local.build import PROJECT, building, source_digest


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for file in ("template.yaml", "layers/core/opdex/errors.py", "functions/api/handler.py", "docs/page.md"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("text")
    return tmp_path


@pytest.mark.parametrize("file", ["template.yaml", "layers/core/opdex/errors.py", "functions/api/new.py"])
def test_digest_changes_when_a_source_does(project: Path, file: str) -> None:
    before = source_digest(project)
    (project / file).write_text("another text")
    assert source_digest(project) != before


def test_digest_changes_when_a_source_is_renamed(project: Path) -> None:
    before = source_digest(project)
    (project / "layers/core/opdex/errors.py").rename(project / "layers/core/opdex/faults.py")
    assert source_digest(project) != before


@pytest.mark.parametrize("file", ["docs/page.md", "layers/core/opdex/__pycache__/errors.cpython-313.pyc"])
def test_digest_stays_when_something_else_changes(project: Path, file: str) -> None:
    before = source_digest(project)
    (project / file).parent.mkdir(exist_ok=True)
    (project / file).write_text("another text")
    assert source_digest(project) == before


def test_build_says_that_it_waits_when_another_run_has_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("local.build._FOLDER", tmp_path)
    monkeypatch.setattr("local.build._start_build", lambda: pytest.fail("nothing is to be built"))
    monkeypatch.setattr("local.build.BUILT_TEMPLATE", tmp_path / "built-from")
    (tmp_path / "built-from").write_text(source_digest(PROJECT))
    said: list[str] = []
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        def say(step: str) -> None:
            said.append(step)
            fcntl.flock(lock, fcntl.LOCK_UN)

        with building(say):
            assert said == ["Waiting for another run, which is building or deploying"]
    said.clear()
    with building(said.append):
        assert said == []
