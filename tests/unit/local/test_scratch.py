"""Folders for files that are soon gone."""

import subprocess
import sys
from pathlib import Path

import pytest

from local.scratch import scratch_folder

_PROJECT = Path(__file__).parents[3]
_HOLD = """
import sys
from pathlib import Path
from local import scratch
scratch._MEMORY, scratch._ROOM_BYTES = Path(sys.argv[1]), 0
with scratch.scratch_folder(Path("data")) as folder:
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _a_memory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.scratch._MEMORY", tmp_path)
    monkeypatch.setattr("local.scratch._ROOM_BYTES", 0)


def test_folder_is_private_and_gone_when_the_block_ends(tmp_path: Path) -> None:
    with scratch_folder(Path("data")) as folder:
        (folder / "file").touch()
        assert folder.parent == tmp_path
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not folder.exists()


def test_folder_stays_when_another_run_starts() -> None:
    with scratch_folder(Path("data")) as first, scratch_folder(Path("data")) as second:
        assert first != second
        assert first.exists()


def test_folder_is_removed_by_any_next_run_when_its_own_was_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _HOLD, str(tmp_path)]
    with subprocess.Popen(command, cwd=_PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        left = Path(holder.stdout.readline().strip())
        with scratch_folder(Path("another")):
            assert left.exists()
        holder.kill()
    assert left.exists()
    with scratch_folder(Path("another")):
        assert not left.exists()


def test_link_is_left_alone_when_it_only_looks_like_a_leftover(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "opdex-scratch-link").symlink_to("kept")
    with scratch_folder(Path("data")):
        assert (tmp_path / "kept").exists()
