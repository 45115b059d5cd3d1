"""How `sam build` finds what builds layers, in a clone where `make` never ran."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from local.build import PROJECT

LAYERS = sorted(path.parent.name for path in PROJECT.glob("layers/*/Makefile"))


@pytest.mark.parametrize("layer", [name for name in LAYERS if name != "migrations"])
def test_environment_is_made_first_when_there_is_none(tmp_path: Path, layer: str) -> None:
    for file in ("Makefile", "pyproject.toml", "uv.lock", ".python-version"):
        shutil.copy(PROJECT / file, tmp_path)
    shutil.copytree(PROJECT / "layers", tmp_path / "layers", ignore=shutil.ignore_patterns("*.py"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", "--dry-run", "--makefile", f"layers/{layer}/Makefile", f"build-{layer.capitalize()}Layer"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment | {"ARTIFACTS_DIR": str(tmp_path / "built")},
        capture_output=True,
        text=True,
        check=True,
    )
    made, used = done.stdout.find("Installing what is needed into .venv"), done.stdout.find("uv pip install")
    assert 0 < made < used
