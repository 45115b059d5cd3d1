"""Folders for files that are soon gone."""

from pathlib import Path

from local.scratch import scratch_folder


def test_folder_is_private_and_gone_when_the_block_ends(tmp_path: Path) -> None:
    with scratch_folder(tmp_path) as folder:
        (folder / "file").touch()
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not folder.exists()


def test_leftover_is_removed_when_the_same_owner_comes_again(tmp_path: Path) -> None:
    with scratch_folder(tmp_path) as left, scratch_folder(tmp_path) as folder, scratch_folder(tmp_path / "other"):
        assert not left.exists()
        assert folder.exists()
