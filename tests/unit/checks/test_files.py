"""Which files cannot be read."""

from pathlib import Path

import pytest

from checks.files import complaints
from checks.table import PROJECT


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("event.json", "{"),
        ("event.json", '{"a": [{"b": 1, "b": 2}]}'),
        ("results.jsonl", '{"a": 1}\n{"a": 1, "a": 2}'),
        ("template.yaml", "a: [1"),
        ("template.yaml", "list:\n  - {a: 1, a: 2}"),
        ("settings.toml", "a = 1\na = 2"),
    ],
)
def test_file_is_told_when_it_is_broken_or_says_a_thing_twice(tmp_path: Path, name: str, text: str) -> None:
    folder = tmp_path / "deep" / "er"
    folder.mkdir(parents=True)
    (folder / name).write_text(text)
    (told,) = complaints(tmp_path)
    assert told.startswith(f"deep/er/{name}: ")


def test_nothing_is_told_when_files_are_whole_or_not_the_projects_own(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text("a: &a {b: !Ref c}\nd: {<<: *a, e: 1}\n---\nf: 1\n")
    (tmp_path / "good.json").write_text('[{"a": 1}, {"a": 1}]')
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "bad.json").write_text("{")
    assert list(complaints(tmp_path)) == []
    assert (PROJECT / "template.yaml").exists()
