"""A folder for files that are soon gone: in memory where there is room, which can be ten times as fast as a disk."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MEMORY = Path("/dev/shm")  # nosec B108  # noqa: S108  a private folder is made in it
_ROOM_BYTES = 4 * 2**30
_PREFIX = "opdex-scratch-"


@contextmanager
def scratch_folder(owner: Path) -> Iterator[Path]:
    """Make a private folder for the block, named after its ``owner``; what this user's killed runs left goes first."""
    on_disk = Path(tempfile.gettempdir())
    for parent in {_MEMORY, on_disk}:
        _remove_leftovers(parent)
    folder, lock = _locked_folder(_MEMORY if _has_room(_MEMORY) else on_disk, owner.name)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _locked_folder(parent: Path, name: str) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{name[:40]}-", dir=parent))
        # The lock ends with this process, however it ends. Another run may have been faster, and removed the folder.
        with contextlib.suppress(FileNotFoundError):
            lock = os.open(folder, os.O_RDONLY)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if folder.exists():
                return folder, lock
            os.close(lock)


def _remove_leftovers(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # in use, just gone, or another user's
            if folder.stat(follow_symlinks=False).st_uid == os.geteuid():
                lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder)
                finally:
                    os.close(lock)


def _has_room(folder: Path) -> bool:
    try:
        may_run_programs = not os.statvfs(folder).f_flag & os.ST_NOEXEC
        return may_run_programs and shutil.disk_usage(folder).free >= _ROOM_BYTES
    except OSError:
        return False
