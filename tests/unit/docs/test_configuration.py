"""The configuration reference is made from what it speaks of, and says all of it."""

import inspect
import re

import pytest

from docs.pages.configuration import page
from docs.pages.settings_reference import settings_of
from docs.pages.template_reference import sources_of_variables
from local.build import PROJECT, TEMPLATE
from local.template import read_template
from opdex.settings import Settings

_READ = re.compile(r"os\.environ(?:\.get\(|\[)\s*[\"'](\w+)[\"'](?!\]\s*=)")
_GIVEN = {"PATH", "LD_LIBRARY_PATH", "BIND_HOST", "GATEWAY_PORT"}  # by the shell, and by one program to another


class HalfSilent(Settings):
    """ApiFunction."""

    told: int = 1
    """What it is."""
    untold: int = 1


def test_page_is_what_the_code_says_when_committed() -> None:
    committed = (PROJECT / "docs" / "configuration.md").read_text("utf-8")
    assert committed == page(), "The page is behind: make docs."


def _read_in(*folders: str) -> set[str]:
    files = [path for folder in folders for path in (PROJECT / folder).rglob("*.py")]
    return {name for path in files for name in _READ.findall(path.read_text("utf-8"))}


def test_each_variable_is_on_the_page_when_the_code_reads_it() -> None:
    read = _read_in("layers/core", "functions")
    assert read
    assert [name for name in sorted(read) if f"| `{name}` |" not in page()] == []


def test_each_variable_is_on_the_page_when_commands_or_tests_read_it() -> None:
    read = _read_in("checks", "deploy", "docs", "local", "tests") - _GIVEN
    assert read
    assert [name for name in sorted(read) if not re.search(rf"\b{name}(?:`|=)", page())] == []


def test_each_variable_is_on_the_page_when_the_template_sets_it() -> None:
    names = sources_of_variables(read_template(TEMPLATE))
    assert [name for name in sorted(names) if f"| `{name}` |" not in page()] == []


def test_sources_are_the_parameters_that_decide_when_the_value_has_conditions() -> None:
    sources = sources_of_variables(read_template(TEMPLATE))
    assert sources["DATABASE_SECRET_ARN"] == {"CreateDatabase", "DatabaseSecretArn"}
    assert sources["EMBED_QUEUE_URL"] == {"EmbedQueue"}


def test_row_has_default_bounds_and_parameter_when_the_setting_has_them() -> None:
    assert "| `RETENTION_DAYS` | `14` | days, at least 1 |" in page()
    assert "| `FETCH_SECONDS` | `10` | seconds, more than 0, at most 15 |" in page()
    assert "| `EMBED_QUEUE_URL` | needed | text |" in page()


def test_setting_is_refused_by_name_when_nothing_is_said_below_it() -> None:
    this = inspect.getmodule(HalfSilent)
    assert this is not None
    with pytest.raises(ValueError, match="these settings what it is: untold\\."):
        settings_of(this)
