"""Child processes that never outlive this one, not even when it is killed."""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from local.errors import LocalRunError

_NOBODY = 65534
_STOP_SECONDS = 15.0


def privileges(uid: int, closed_folders: bool = False, death_signal: signal.Signals = signal.SIGTERM) -> list[str]:
    """Return the command prefix that runs a program as ``uid`` and ends it when this process dies.

    ``closed_folders`` lets a program of another user through folders that are closed to it.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None:  # not Linux: the ordinary user's run works all the same
        if uid != os.geteuid():
            raise LocalRunError("Run this as an ordinary user, or install setpriv (util-linux): Postgres refuses root.")
        return []
    prefix = [setpriv, "--pdeathsig", death_signal.name.removeprefix("SIG")]
    if uid != os.geteuid():
        prefix += ["--reuid", str(uid), "--regid", str(uid), "--clear-groups"]
        if closed_folders:
            prefix += ["--inh-caps", "+dac_override", "--ambient-caps", "+dac_override"]
    return [*prefix, "--"]


def unprivileged_uid(owned: Path) -> int:
    """Return the uid that a program which refuses root runs as: the owner of ``owned``, else nobody, else ourselves."""
    if os.geteuid() != 0:
        return os.geteuid()
    return (owned.stat().st_uid if owned.exists() else 0) or _NOBODY


def is_closed_to_others(path: Path) -> bool:
    """Tell whether some folder above ``path`` keeps other users out."""
    return any(not parent.stat().st_mode & 0o001 for parent in path.resolve().parents)


class Process:
    """One running child, in a session of its own so that a terminal's Ctrl-C reaches only us."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        environment: Mapping[str, str],
        cwd: Path = Path("/"),
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.log = log
        self._stop_signal = stop_signal
        with log.open("ab") as output:
            self._log_begins = output.tell()
            self._popen = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(environment),
                cwd=cwd,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._popen.pid

    def is_running(self) -> bool:
        """Tell whether the child is alive."""
        return self._popen.poll() is None

    def wait(self) -> int:
        """Return the child's exit code once it has ended."""
        return self._popen.wait()

    def said(self) -> str:
        """Return what this child has written to its log."""
        with self.log.open("rb") as log:
            log.seek(self._log_begins)
            return log.read().decode(errors="replace")

    def stop(self) -> None:
        """End the child and everything in its process group; does nothing where it has ended."""
        if self.is_running():
            self._popen.send_signal(self._stop_signal)
            try:
                self._popen.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._popen.kill()
                self._popen.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)  # what it may have left behind
