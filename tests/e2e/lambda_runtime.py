"""Lambda's own runtime for Python, without Docker: the interface emulator of the SAM CLI's wheel, and awslambdaric."""

import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import httpx

from tests.e2e.system import free_port

# What AWS's runtime brings along; everything else must come with the function and its layers.
_RUNTIME_PACKAGES = ("awslambdaric", "runtime_client", "simplejson", "snapshot_restore_py")
_START_SECONDS = 30.0


class FunctionError(Exception):
    """The function raised, or could not be imported."""


class LambdaRuntime:
    """One execution environment of a built function. A context manager; one invocation at a time."""

    def __init__(self, function: Path, layers: Sequence[Path], folder: Path, environment: Mapping[str, str]) -> None:
        self._function = function
        self._log = folder / f"{function.name}.log"
        runtime = folder / "runtime"
        if not runtime.exists():
            _copy_runtime(runtime)
        self._address = f"127.0.0.1:{free_port()}"
        self._environment = {
            "PATH": os.defpath,
            "LANG": "C.UTF-8",
            "PYTHONPATH": os.pathsep.join(str(path) for path in (runtime, *(layer / "python" for layer in layers))),
            "LAMBDA_TASK_ROOT": str(function),
            "AWS_LAMBDA_FUNCTION_NAME": function.name,
            "AWS_LAMBDA_FUNCTION_TIMEOUT": "60",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            **environment,
        }

    def __enter__(self) -> Self:
        addresses = ["--runtime-interface-emulator-address", self._address]
        addresses += ["--runtime-api-address", f"127.0.0.1:{free_port()}"]
        # -S: not even the interpreter's own site-packages.
        bootstrap = [str(Path(sys.base_prefix, "bin", "python3.13")), "-S", "-m", "awslambdaric", "handler.handler"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [_emulator(), *addresses, *bootstrap],
                cwd=self._function,
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self

    def __exit__(self, *_: object) -> None:
        os.killpg(self._process.pid, 9)
        self._process.wait()

    def invoke(self, event: Mapping[str, Any]) -> Any:
        """Return the function's answer to an event. Raises FunctionError with the function's log."""
        address = f"http://{self._address}/2015-03-31/functions/function/invocations"
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                answer = httpx.post(address, json=event, timeout=90)
                break
            except httpx.ConnectError:
                if time.monotonic() > deadline:
                    raise FunctionError(self._log.read_text()) from None
                time.sleep(0.02)
        payload = json.loads(answer.text or "null")
        if not answer.is_success or (isinstance(payload, dict) and "errorType" in payload):
            raise FunctionError(f"{answer.text}\n{self._log.read_text()}")
        return payload


def _copy_runtime(folder: Path) -> None:
    folder.mkdir()
    for name in _RUNTIME_PACKAGES:
        found = importlib.util.find_spec(name)
        assert found is not None
        assert found.origin is not None
        if found.submodule_search_locations:
            shutil.copytree(Path(found.origin).parent, folder / name)
        else:
            shutil.copy(found.origin, folder)


def _emulator() -> str:
    package = importlib.util.find_spec("samcli")
    assert package is not None
    assert package.origin is not None
    machine = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return str(Path(package.origin).parent / "local" / "rapid" / f"aws-lambda-rie-{machine}")
