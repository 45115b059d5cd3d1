"""What the pages tell the reader to do is there to be done: commands, parameters, outputs and links."""

import re
import subprocess
from functools import cache
from itertools import chain
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name
from botocore.exceptions import UnknownServiceError

from local.build import PROJECT, TEMPLATE
from local.template import read_template
from opdex.errors import DatabaseUnavailable, LeaseLost, OpdexError, ProviderError
from opdex.indexing import slice as indexing_slice

PAGES = [PROJECT / "README.md", PROJECT / "CHANGELOG.md", *sorted((PROJECT / "docs").glob("*.md"))]
OF_EVERY_COMMAND = {"query", "output", "endpoint-url", "region", "profile"}

template = read_template(TEMPLATE)
ALARMS = [name for name, about in template["Resources"].items() if about["Type"] == "AWS::CloudWatch::Alarm"]
session = botocore.session.get_session()


def _code(page: Path) -> list[str]:
    """Return the code of a page: each block, and what stands between backticks."""
    text = page.read_text("utf-8")
    blocks = re.findall(r"^```bash\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return [block.replace("\\\n", " ") for block in blocks] + re.findall(r"`([^`\n]+)`", prose)


def _commands(page: Path, program: str) -> list[list[str]]:
    """Return the words of each call of a program, those within `$(…)` too."""
    found = []
    for text in chain.from_iterable(code.splitlines() for code in _code(page)):
        rest, parts = text, []
        while inner := re.search(r"\$\(([^()]*)\)", rest):
            parts.append(inner[1])
            rest = rest.replace(inner[0], "VALUE")
        for part in (*parts, rest):
            calls = re.findall(rf"(?:^|[{{;|&]|=\$\(|=)\s*{program} ([^;|]+)", part)
            found += [re.sub(r"'[^']*'", "VALUE", call).split() for call in calls]
    return found


@cache
def _options(service: str, command: str, waiter: str | None) -> set[str]:
    model = session.get_service_model(service)
    if waiter is not None:
        waiters = session.get_waiter_model(service)
        (name,) = [name for name in waiters.waiter_names if xform_name(name, "-") == waiter]
        operation = model.operation_model(waiters.get_waiter(name).operation)
    else:
        (name,) = [name for name in model.operation_names if xform_name(name, "-") == command]
        operation = model.operation_model(name)
    return {xform_name(member, "-") for member in (operation.input_shape.members if operation.input_shape else ())}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_command_of_aws_has_its_options_when_a_page_gives_it(page: Path) -> None:
    for words in _commands(page, "aws"):
        while words[0].startswith("--"):
            words = words[2:]
        service, command, *rest = words
        waiter = rest[0] if command == "wait" else None
        try:
            known = _options(service, command, waiter) | OF_EVERY_COMMAND
        except (UnknownServiceError, ValueError):
            pytest.fail(f"There is no `aws {service} {command}`.")
        asked = {word.removeprefix("--") for word in rest if word.startswith("--")}
        assert {option.removeprefix("no-") for option in asked} - known == set(), words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_block_is_shell_when_a_page_gives_it(page: Path) -> None:
    for block in re.findall(r"^```bash\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE):
        done = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{done.stderr}\n{block}"


@pytest.mark.parametrize("name", ALARMS)
def test_alarm_says_what_it_means_and_what_to_do_when_it_rings(name: str) -> None:
    operations = (PROJECT / "docs" / "operations.md").read_text("utf-8")
    _, _, section = operations.partition(f"### `{name}`\n")
    said = re.findall(r"^- \*\*(\w+)\*\*: ", section.partition("\n#")[0], re.MULTILINE)
    assert said == ["Means", "Look", "Do", "Clears"]


def test_error_code_has_a_row_when_a_job_can_have_it() -> None:
    known = {
        named for named in vars(indexing_slice).values() if isinstance(named, type) and issubclass(named, OpdexError)
    }
    let_through = {OpdexError, LeaseLost, DatabaseUnavailable}  # the job stays as it is
    written = {kind.code for error in known - let_through for kind in _kinds(error)} - {ProviderError.code}
    without_a_worker = {
        code
        for module in (PROJECT / "layers/core/opdex/jobs").glob("*.py")
        for code in re.findall(r'"code": "(\w+)"', module.read_text("utf-8"))
    }
    operations = (PROJECT / "docs" / "operations.md").read_text("utf-8")
    _, _, table = operations.partition("| `error_code` | what happened | what to do |\n|---|---|---|\n")
    rows = re.findall(r"^\| (`.+?`) \|", table.partition("\n\n")[0], re.MULTILINE)

    assert without_a_worker
    assert sorted(re.findall(r"`(\w+)`", "".join(rows))) == sorted(written | without_a_worker)


def test_pages_give_commands_when_they_are_a_runbook() -> None:
    operations = PROJECT / "docs" / "operations.md"
    services = {words[0] for words in _commands(operations, "aws")}
    assert services >= {"cloudformation", "cloudwatch", "lambda", "logs", "rds", "secretsmanager", "sqs"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_target_of_make_is_there_when_a_page_gives_it(page: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text("utf-8"), re.MULTILINE)
    asked = {word for words in _commands(page, "make") for word in words[:1]}
    assert asked - set(targets) == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_parameter_takes_the_value_when_a_page_gives_it(page: Path) -> None:
    for name, value in re.findall(r"(?:^|[\s`])([A-Z][a-z]+[A-Za-z]*)=([^\s`]+)", "\n".join(_code(page))):
        about = template["Parameters"][name]
        assert value in map(str, about.get("AllowedValues", [value])), f"{name}={value}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_output_is_there_when_a_page_names_it(page: Path) -> None:
    text = page.read_text("utf-8")
    named = re.findall(r"\boutput ([A-Z]\w+)\)", text) + re.findall(r"\boutput `(\w+)`", text)
    assert set(named) - template["Outputs"].keys() == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_link_leads_somewhere_when_it_stays_here(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text("utf-8")):
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        assert target.exists(), link
        if anchor:
            assert anchor in _anchors(target), link


def _kinds(error: type[OpdexError]) -> set[type[OpdexError]]:
    """Return an error with all that are kinds of it."""
    return {error}.union(*map(_kinds, error.__subclasses__()))


@cache
def _anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
