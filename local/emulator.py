"""The AWS emulator (ministack): API Gateway, Lambda, SQS and more on one loopback port, functions as subprocesses."""

import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, cast

import httpx

from local.errors import LocalRunError
from local.processes import Process, privileges
from local.scratch import scratch_folder

REGION = "us-east-1"
_START_SECONDS = 20.0
_PROGRAM = Path(__file__).with_name("guarded_emulator.py")


class Emulator:
    """A running emulator, which keeps nothing; its log stays in ``folder``. A context manager.

    ``function_variables`` are seen by every function, since functions inherit the emulator's environment.
    """

    def __init__(self, port: int, folder: Path, function_variables: Mapping[str, str] | None = None) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.log = folder / "emulator.log"
        self._folder = folder
        self._variables = dict(function_variables or {})
        self._process: Process | None = None

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            scratch = stack.enter_context(scratch_folder(self._folder))
            stack.callback(self._stop)
            self._start(scratch)
            self._resources = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    def require_free_port(self) -> None:
        """Raise LocalRunError where the port cannot be listened on."""
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", self.port))
            except PermissionError:
                raise LocalRunError(f"PORT {self.port} needs root: choose one above 1023, such as PORT=8081.") from None
            except OSError:
                other = self.port % 60000 + 1
                raise LocalRunError(f"PORT {self.port} is in use: choose another, such as PORT={other}.") from None

    def is_running(self) -> bool:
        """Tell whether it is alive."""
        return self._process is not None and self._process.is_running()

    def client(self, service: str) -> Any:
        """Return a boto3 client of one of its services."""
        import boto3  # slow to import, and a run that cannot start should say so at once

        session = boto3.session.Session("test", "test", region_name=REGION)
        return session.client(cast(Any, service), endpoint_url=self.url)

    def _start(self, scratch: Path) -> None:
        self.require_free_port()
        self.log.unlink(missing_ok=True)
        self._process = Process(
            [*privileges(os.geteuid()), sys.executable, "-P", _PROGRAM],
            log=self.log,
            environment=self._environment(scratch),
            cwd=scratch,
            stop_signal=signal.SIGKILL,  # it keeps nothing, and would wait for functions that run
        )
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if not self._process.is_running() or time.monotonic() > deadline:
                raise LocalRunError(f"The AWS emulator does not start on port {self.port}: see {self.log}.")
            time.sleep(0.02)

    def _stop(self) -> None:
        if self._process is not None:
            self._process.stop()

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/_ministack/health", timeout=5).is_success
        except httpx.TransportError:
            return False

    def _environment(self, scratch: Path) -> dict[str, str]:
        # Little of our own environment goes in: functions inherit it, and must not find what AWS would not give them.
        (scratch / "tmp").mkdir()
        return {
            **{name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ},
            "HOME": str(scratch),
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "TMPDIR": str(scratch / "tmp"),
            "STATE_DIR": str(scratch / "state"),
            "S3_DATA_DIR": str(scratch / "s3"),
            "GATEWAY_PORT": str(self.port),
            "BIND_HOST": "127.0.0.1",
            "MINISTACK_HOST": "127.0.0.1",
            "MINISTACK_REGION": REGION,
            # Each would listen on every address.
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            # Functions are subprocesses, and a Docker engine on this machine is none of our business.
            "LAMBDA_EXECUTOR": "local",
            "DOCKER_HOST": f"unix://{scratch}/no-docker.sock",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",  # nosec B105  # the emulator takes any
            **self._variables,
        }
