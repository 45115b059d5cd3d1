"""LocalStack: one that runs already, or one in host mode that is started here, with functions as processes."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import boto3
import httpx

from local.build import PROJECT
from local.emulator import REGION
from local.errors import LocalRunError
from local.ports import free_port
from local.processes import Process, privileges
from local.scratch import scratch_folder

_PYTHON = PROJECT / ".tools" / "localstack" / "bin" / "python"
_PLUGIN = Path(__file__).with_name("plugin")
_START_SECONDS = 90.0


@dataclass(frozen=True)
class LocalStack:
    """A LocalStack that runs; ``log`` says where it tells what it does."""

    url: str
    log: object

    def client(self, service: str) -> Any:
        """Return a boto3 client of one of its services."""
        session = boto3.session.Session("test", "test", region_name=REGION)
        return session.client(cast(Any, service), endpoint_url=self.url)


@contextmanager
def running_localstack(folder: Path) -> Iterator[LocalStack]:
    """Yield the LocalStack at LOCALSTACK_ENDPOINT, or start one for the block, its log in ``folder``.

    Raises LocalRunError where it does not answer.
    """
    if endpoint := os.environ.get("LOCALSTACK_ENDPOINT"):
        _wait_for(running := LocalStack(endpoint.rstrip("/"), "LocalStack's own log"))
        yield running
        return
    if not _PYTHON.exists():
        raise LocalRunError("LocalStack is missing: run `make test-localstack`, which installs what is needed.")
    with scratch_folder(folder) as scratch:
        started = LocalStack(f"http://127.0.0.1:{(port := free_port())}", folder / "localstack.log")
        process = Process(
            [*privileges(os.geteuid()), _PYTHON, "-P", "-m", "localstack.runtime.main"],
            log=folder / "localstack.log",
            environment=environment(scratch, port),
            cwd=scratch,
            stop_signal=signal.SIGKILL,  # it keeps nothing, and its functions' processes end with it
        )
        try:
            _wait_for(started, process)
            yield started
        finally:
            process.stop()


def environment(scratch: Path, port: int) -> dict[str, str]:
    """Return what makes LocalStack keep to this machine and to a folder: no Docker, no downloads, no reports."""
    for name in ("home", "tmp"):
        (scratch / name).mkdir()
    return {
        **{name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ},
        "PYTHONPATH": os.pathsep.join((str(_PLUGIN), str(PROJECT))),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "HOME": str(scratch / "home"),
        "TMPDIR": str(scratch / "tmp"),
        "FILESYSTEM_ROOT": str(scratch / "files"),
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "GATEWAY_SERVER": "hypercorn",  # the other one listens on every address
        "LOCALSTACK_HOST": f"127.0.0.1:{port}",  # what it calls itself: its usual name must be looked up outside
        "SQS_ENDPOINT_STRATEGY": "path",  # as in the name of each queue
        "DNS_ADDRESS": "0",  # no name server, which would listen on every address
        "OVERRIDE_IN_DOCKER": "0",
        "DOCKER_HOST": f"unix://{scratch}/no-docker.sock",
        "DISABLE_EVENTS": "1",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "LAMBDA_RUNTIME_EXECUTOR": "process",
        "OPDEX_RUNTIME_PACKAGES": str(Path(boto3.__file__).parents[1]),
        # Lambda's pollers ask all the time; these would ask every second, and after a pause every ten.
        "LAMBDA_EVENT_SOURCE_MAPPING_POLL_INTERVAL_SEC": "0.05",
        "LAMBDA_EVENT_SOURCE_MAPPING_MAX_BACKOFF_ON_EMPTY_POLL_SEC": "0.5",
    }


def _wait_for(localstack: LocalStack, process: Process | None = None) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            if httpx.get(f"{localstack.url}/_localstack/health", timeout=5).is_success:
                return
        except httpx.TransportError:
            pass
        if process is None or not process.is_running() or time.monotonic() > deadline:
            raise LocalRunError(f"LocalStack does not answer at {localstack.url}: see {localstack.log}.")
        time.sleep(0.1)
