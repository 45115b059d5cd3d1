"""``sam build``, when something that goes into it has changed."""

import fcntl
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from local.errors import LocalRunError
from local.processes import Process, privileges

PROJECT = Path(__file__).resolve().parents[1]
_FOLDER = PROJECT / ".aws-sam"
TEMPLATE = PROJECT / "template.yaml"
BUILT_TEMPLATE = _FOLDER / "build" / "template.yaml"

_SOURCES = ("template.yaml", "uv.lock", "pyproject.toml", "layers", "functions", "migrations")
_NOT_SOURCES = {"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache"}


@contextmanager
def building(say: Callable[[str], None]) -> Iterator[Callable[[], None]]:
    """Build in the background where the build is not up to date; the yielded function waits for it.

    The build stays as it is until the block ends: two runs at once take turns, which is told to ``say``. Both may raise
    LocalRunError.
    """
    try:
        _FOLDER.mkdir(exist_ok=True)
        lock = (_FOLDER / "lock").open("w")
    except OSError as error:
        raise LocalRunError(f"{_FOLDER} cannot be written ({error.strerror}): run this as its owner.") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Waiting for another run, which is building or deploying")
            fcntl.flock(lock, fcntl.LOCK_EX)
        stamp, digest = _FOLDER / "built-from", source_digest(PROJECT)
        if BUILT_TEMPLATE.exists() and stamp.exists() and stamp.read_text() == digest:
            yield lambda: None
            return
        stamp.unlink(missing_ok=True)
        build = _start_build()

        def wait() -> None:
            if build.wait() != 0:
                raise LocalRunError(_what_went_wrong(build))
            stamp.write_text(digest)

        try:
            yield wait
        finally:
            build.stop()


def source_digest(project: Path) -> str:
    """Return a checksum over the names and contents of everything that goes into the build."""
    digest = sha256()
    for path in sorted(_files(project)):
        digest.update(f"{path.relative_to(project)}\0{sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _files(project: Path) -> Iterator[Path]:
    for source in _SOURCES:
        top = project / source
        if top.is_file():
            yield top
        for folder, folders, files in top.walk():
            folders[:] = [name for name in folders if name not in _NOT_SOURCES]
            yield from (folder / name for name in files)


def _start_build() -> Process:
    tools = Path(sys.executable).parent
    sam = shutil.which("sam", path=tools) or shutil.which("sam")
    if sam is None:
        raise LocalRunError("The SAM CLI is missing: run `make run`, which installs what is needed.")
    return Process(
        [*privileges(os.geteuid()), sam, "build"],
        log=_FOLDER / "build.log",
        environment={
            **os.environ,
            "PATH": f"{tools}:{os.environ.get('PATH', os.defpath)}",
            "SAM_CLI_TELEMETRY": "0",
            "__SAM_CLI_APP_DIR": str(_FOLDER / "cli"),  # the one in HOME may be another user's
        },
        cwd=PROJECT,
    )


def _what_went_wrong(build: Process) -> str:
    if any(sign in build.said() for sign in ("Failed to fetch", "dns error", "error sending request")):
        return f"`sam build` cannot reach the package index: check the network, and see {build.log}."
    return f"`sam build` failed: see {build.log}."
