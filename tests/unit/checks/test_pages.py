"""Commands, files and links that pages show and that are not there."""

from pathlib import Path

import pytest

from checks.commands import Commands
from checks.pages import complaints
from checks.table import PROJECT


@pytest.mark.parametrize(
    "command",
    [
        "make run SPEC=docs/examples/library.yaml WORKERS=2",
        "PYTHONPATH=layers/core:. .venv/bin/python -m local --function-variable A=1",
        "python3 -c 'print(1)' | gzip --stdout | curl --data-binary @- \"$URL\" && make test",
        "URL=$(python3 -c 'import json')",
        "export A=1; B=2  # what for",
        "sam local invoke EmbedFunction --event events/embed_wake_up.json --env-vars env.json",
        "sam deploy --guided --parameter-overrides Workers=4 Waf=true",
        "aws --endpoint-url http://127.0.0.1 logs filter-log-events --log-group-name /opdex/opdex/embed",
        "aws rds wait db-cluster-available --db-cluster-identifier \\\n    restored",
        "aws lambda invoke --function-name <MigrateFunctionName> /dev/null --query StatusCode",
    ],
)
def test_nothing_is_told_when_a_command_could_be_run(command: str) -> None:
    assert list(Commands(PROJECT).complaints(command)) == []


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("make rum", "make has no target rum"),
        ("make run SPECK=1", "nothing reads SPECK"),
        ("python -m local.nowhere", "there is no module local.nowhere"),
        ("python -m nowhere.at.all", "there is no module nowhere.at.all"),
        ("gunzip a | make run", "there is no program gunzip"),
        ("A=$(opdex catalogs)", "there is no program opdex"),
        ("sam lokal invoke", "sam has no command lokal"),
        ("sam deploy --guide", "sam deploy has no option --guide"),
        ("sam deploy --parameter-overrides Worker=4", "the template has no parameter Worker"),
        ("aws sks list-queues", "aws has no service sks"),
        ("aws sqs list-cues", "aws sqs has no command list-cues"),
        ("aws sqs list-queues --queue-url x", "aws sqs list-queues has no option --queue-url"),
        ("aws rds wait db-cluster-rested", "aws rds cannot wait for db-cluster-rested"),
    ],
)
def test_what_is_not_there_is_told_when_a_command_uses_it(command: str, told: str) -> None:
    assert list(Commands(PROJECT).complaints(command)) == [told]


def test_a_function_is_there_when_its_page_defines_it() -> None:
    page = '```bash\nask() { curl --silent "$1"; }\n```'
    assert list(Commands(PROJECT).complaints("ask jobs", page)) == []
    assert list(Commands(PROJECT).complaints("ask jobs")) == ["there is no program ask"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "layers" / "core" / "opdex" / "jobs").mkdir(parents=True)
    (tmp_path / "layers" / "core" / "opdex" / "jobs" / "store.py").touch()
    (tmp_path / "Makefile").write_text("run: ready\n\techo $(SPEC)\n")
    (tmp_path / "docs" / "other.md").write_text("# Other: a page\n\n## Worker's `lease`\n")
    return tmp_path


def test_nothing_is_told_when_all_is_there(project: Path) -> None:
    (project / "README.md").write_text(
        "# Title\n[a](docs/other.md) [b](docs/other.md#workers-lease) [c](#title) [d](https://example.com/x)\n"
        "`jobs/store.py` `jobs/*.py` `docs/` `application/gzip` `/api/v1` `…/upload` `make run SPEC=1`\n"
        "```bash\nmake run\n```\n```mermaid\nnot a command\n```\n"
    )
    assert list(complaints(project, Commands(project))) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[a](docs/none.md)", "README.md: the link docs/none.md leads nowhere"),
        ("[a](docs/other.md#leases)", "README.md: the link docs/other.md#leases leads nowhere"),
        ("[a](#title)", "README.md: the link #title leads nowhere"),
        ("see `jobs/none.py`", "README.md: there is no jobs/none.py"),
        ("do `make rum` first", "README.md: `make rum`: make has no target rum"),
        ("```bash\nmake rum\n```", "README.md: make has no target rum"),
    ],
)
def test_page_is_named_when_it_shows_what_is_not_there(project: Path, text: str, told: str) -> None:
    (project / "README.md").write_text(text)
    assert list(complaints(project, Commands(project))) == [told]
