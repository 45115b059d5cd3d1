"""``sam build``, when something that goes into it has changed."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from local.errors import LocalRunError

PROJECT = Path(__file__).resolve().parents[1]
BUILD = PROJECT / ".aws-sam" / "build"
TEMPLATE = PROJECT / "template.yaml"
BUILT_TEMPLATE = BUILD / "template.yaml"

_SOURCES = ("template.yaml", "uv.lock", "pyproject.toml", "layers", "functions", "migrations")
_STAMP = PROJECT / ".aws-sam" / "built-from"
_LOCK = PROJECT / ".aws-sam" / "lock"
_NOT_SOURCES = {"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache"}


@contextmanager
def built() -> Iterator[bool]:
    """Hold the build steady for the block, having made it first where it is not up to date; yields whether it was made.

    Two runs at once take turns. Raises LocalRunError.
    """
    _LOCK.parent.mkdir(exist_ok=True)
    with _LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        digest = source_digest(PROJECT)
        stale = not BUILT_TEMPLATE.exists() or not _STAMP.exists() or _STAMP.read_text() != digest
        if stale:
            _STAMP.unlink(missing_ok=True)
            _build()
            _STAMP.write_text(digest)
        yield stale


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


def _build() -> None:
    tools = Path(sys.executable).parent
    sam = shutil.which("sam", path=tools) or shutil.which("sam")
    if sam is None:
        raise LocalRunError("The SAM CLI is missing: run `make run`, which installs what is needed.")
    done = subprocess.run(
        [sam, "build"],
        cwd=PROJECT,
        env={**os.environ, "PATH": f"{tools}:{os.environ.get('PATH', os.defpath)}", "SAM_CLI_TELEMETRY": "0"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        log = PROJECT / ".aws-sam" / "build.log"
        log.write_text(done.stdout + done.stderr)
        if any(sign in done.stderr for sign in ("Failed to fetch", "dns error", "error sending request")):
            raise LocalRunError(f"`sam build` cannot reach the package index: check the network. See {log}.")
        raise LocalRunError(f"`sam build` failed: see {log}.")
