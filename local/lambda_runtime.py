"""Lambda's own runtime for Python, without Docker: the interface emulator of the SAM CLI's wheel, and awslambdaric."""

import json
import os
import platform
import shutil
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, Self

import httpx

from local.errors import LocalRunError
from local.ports import free_port
from local.processes import Process, privileges

# What AWS's runtime brings along; everything else must come with the function and its layers.
_RUNTIME_PACKAGES = ("awslambdaric", "runtime_client", "simplejson", "snapshot_restore_py")
_START_SECONDS = 30.0


class FunctionError(Exception):
    """The function raised, or could not be imported; ``payload`` is what Lambda answers then."""

    def __init__(self, payload: Any, log: str) -> None:
        super().__init__(f"{payload}\n{log}")
        self.payload = payload


class FunctionTimedOut(FunctionError):
    """The runtime ended the function when its time was up."""


class LambdaRuntime:
    """One execution environment of a built function. A context manager; one invocation at a time.

    ``packages`` is where the runtime's own parts are installed, if not beside this interpreter.
    """

    def __init__(
        self,
        function: Path,
        layers: Sequence[Path],
        folder: Path,
        environment: Mapping[str, str],
        timeout_seconds: int,
        packages: Path | None = None,
    ) -> None:
        self._function = function
        self._timeout_seconds = timeout_seconds
        self._log = folder / f"{function.name}.log"
        runtime = folder / "runtime"
        if not runtime.exists():
            _copy_runtime(runtime, packages)
        self._emulator = _emulator(packages)
        self._address = f"127.0.0.1:{free_port()}"
        self._environment = {
            "PATH": os.defpath,
            "LANG": "C.UTF-8",
            "PYTHONPATH": os.pathsep.join(str(path) for path in (runtime, *(layer / "python" for layer in layers))),
            "LAMBDA_TASK_ROOT": str(function),
            "AWS_LAMBDA_FUNCTION_NAME": function.name,
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(timeout_seconds),
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",  # nosec B105  # the emulator takes any
            **environment,
        }

    def __enter__(self) -> Self:
        addresses = ["--runtime-interface-emulator-address", self._address]
        addresses += ["--runtime-api-address", f"127.0.0.1:{free_port()}"]
        # -S: not even the interpreter's own site-packages.
        bootstrap = [str(Path(sys.base_prefix, "bin", "python3.13")), "-S", "-m", "awslambdaric", "handler.handler"]
        self._process = Process(
            [*privileges(os.geteuid()), self._emulator, *addresses, *bootstrap],
            log=self._log,
            environment=self._environment,
            cwd=self._function,
            stop_signal=signal.SIGKILL,  # it keeps nothing, and would wait for what the function does
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stop()

    def invoke(self, event: Mapping[str, Any]) -> Any:
        """Return the function's answer to an event. Raises FunctionError, or its kind FunctionTimedOut."""
        address = f"http://{self._address}/2015-03-31/functions/function/invocations"
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                answer = httpx.post(
                    address, json=event, timeout=self._timeout_seconds + _START_SECONDS, trust_env=False
                )
                break
            except httpx.ConnectError:
                if time.monotonic() > deadline:
                    raise FunctionError("It does not start.", self.log()) from None
                time.sleep(0.02)
        if answer.text.startswith("Task timed out"):
            raise FunctionTimedOut(answer.text, self.log())
        payload = json.loads(answer.text or "null")
        # The emulator answers an error with 200, too.
        if not answer.is_success or (isinstance(payload, dict) and "errorType" in payload):
            raise FunctionError(payload, self.log())
        return payload

    def log(self) -> str:
        """Return what the function and the runtime have written so far."""
        return self._log.read_text(errors="replace")


def _copy_runtime(folder: Path, packages: Path | None) -> None:
    folder.mkdir()
    for name in _RUNTIME_PACKAGES:
        origin = _origin(name, packages)
        if origin.name == "__init__.py":
            shutil.copytree(origin.parent, folder / name)
        else:
            shutil.copy(origin, folder)


def _emulator(packages: Path | None) -> Path:
    machine = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return _origin("samcli", packages).parent / "local" / "rapid" / f"aws-lambda-rie-{machine}"


def _origin(package: str, packages: Path | None) -> Path:
    found = PathFinder.find_spec(package, None if packages is None else [str(packages)])
    if found is None or found.origin is None:
        raise LocalRunError(f"The package {package} is missing: run `make invoke`, which installs what is needed.")
    return Path(found.origin)
