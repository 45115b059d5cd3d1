"""How `make` gets what is needed, on machines that lack something."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from local.build import PROJECT

# What an outer make, or a user's own settings, would change.
_OF_THE_CALLER = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "UV_CACHE_DIR", "XDG_CACHE_HOME")


def _make(folder: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run make in a copy of the project's root that has nothing installed."""
    for file in ("Makefile", "pyproject.toml", "uv.lock", ".python-version"):
        shutil.copy(PROJECT / file, folder)
    given = {name: value for name, value in os.environ.items() if name not in _OF_THE_CALLER}
    return subprocess.run(
        ["make", *arguments], cwd=folder, capture_output=True, text=True, check=False, env=given | environment
    )


def test_one_line_says_what_to_do_when_there_is_no_python_313(tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "uv").write_text("#!/bin/sh\necho a long story >&2\nexit 1\n")
    (tools / "uv").chmod(0o755)
    done = _make(tmp_path, "run", PATH=f"{tools}:{os.environ['PATH']}")
    said = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert (done.returncode, said) == (2, [
        "Installing what is needed into .venv ...",
        "Opdex needs Python 3.13: install it, so that python3.13 is on PATH.",
    ])  # fmt: skip


@pytest.mark.parametrize("usable", [True, False])
def test_cache_is_in_the_project_when_the_one_in_home_cannot_be_used(tmp_path: Path, usable: bool) -> None:
    home = tmp_path / "home"
    (home.mkdir if usable else home.touch)()
    done = _make(tmp_path, "--eval=show: ; @echo $$UV_CACHE_DIR", "show", HOME=str(home))
    assert done.stdout.strip() == str(home / ".cache" / "uv" if usable else tmp_path / ".tools" / "cache")


@pytest.mark.parametrize(("arguments", "name"), [((), ""), (("NAME=agent",), "agent")])
def test_key_has_no_name_when_only_the_machine_has_one(tmp_path: Path, arguments: tuple[str, ...], name: str) -> None:
    done = _make(tmp_path, "--eval=show: ; @echo $$NAME", "show", *arguments, NAME="DESKTOP-1A2B3C")
    assert done.stdout.strip() == name
