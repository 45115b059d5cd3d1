"""``python -m local`` as a child process, the way ``make run`` starts it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

PROJECT = Path(__file__).parents[2]
_READY_SECONDS = 180.0
_STOP_SECONDS = 30.0


class LocalRun:
    """One run; a context manager that waits until everything answers, and ends it with SIGTERM.

    ``variables`` are those of ``make run``, such as ``WORKERS="3"``.
    """

    def __init__(self, folder: Path, *arguments: str, **variables: str) -> None:
        self.folder = folder
        self.port = free_port()
        self._arguments = arguments
        self._variables = {"PORT": str(self.port), "DATA_DIR": str(folder), **variables}
        self._output = folder.with_name(folder.name + ".output")

    def __enter__(self) -> Self:
        with self._output.open("w") as output:
            self._process = subprocess.Popen(
                command(*self._arguments),
                cwd=PROJECT,
                env=environment(self._variables),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + _READY_SECONDS
        while not (self.folder / "endpoint.json").exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise AssertionError(f"the system did not start:\n{self.output()}")
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process id of ``python -m local``."""
        return self._process.pid

    def endpoint(self) -> dict[str, Any]:
        """Return what endpoint.json holds."""
        endpoint: dict[str, Any] = json.loads((self.folder / "endpoint.json").read_text())
        return endpoint

    def output(self) -> str:
        """Return what it has printed."""
        return self._output.read_text()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it and return its exit code."""
        if self._process.poll() is None:
            self._process.send_signal(how)
        try:
            return self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise


def command(*arguments: str) -> list[str]:
    """Return the command line of a run."""
    return [sys.executable, "-m", "local", *arguments]


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return this environment with nothing of a run in it but ``variables``."""
    ours = {"PORT", "DATA_DIR", "SPEC", "WORKERS", "EMBED_TIMEOUT_SECONDS"}
    kept = {name: value for name, value in os.environ.items() if name not in ours and not name.startswith("EMBEDDING_")}
    return {**kept, "PYTHONPATH": f"{PROJECT / 'layers/core'}:{PROJECT}", "PYTHONUNBUFFERED": "1", **variables}


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
