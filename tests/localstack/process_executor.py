"""LocalStack's Lambda without Docker: each execution environment is a process on Lambda's own runtime.

Runs inside of LocalStack, which finds it by the entry point in plugin/; LAMBDA_RUNTIME_EXECUTOR=process chooses it.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from localstack import config
from localstack.services.lambda_.invocation.lambda_models import FunctionVersion, InvocationResult
from localstack.services.lambda_.invocation.plugins import RuntimeExecutorPlugin
from localstack.services.lambda_.invocation.runtime_executor import RuntimeExecutor

from local.lambda_runtime import FunctionError, FunctionTimedOut, LambdaRuntime

PACKAGES_VARIABLE = "OPDEX_RUNTIME_PACKAGES"  # where the SAM CLI and awslambdaric are installed
# Folders of a container; here they are others.
_NOT_HERE = ("LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR")
# A child ends with the thread that started it, and LocalStack's own threads come and go.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="process-executor")


class ProcessExecutorPlugin(RuntimeExecutorPlugin):  # type: ignore[misc]  # LocalStack is in an environment of its own
    """What the entry point names."""

    name = "process"

    def load(self, *_: object, **__: object) -> type[RuntimeExecutor]:
        """Return the executor's class."""
        return ProcessExecutor


class ProcessExecutor(RuntimeExecutor):  # type: ignore[misc]
    """One execution environment of one version of a function."""

    _runtime: LambdaRuntime | None = None
    _folder: Path | None = None

    def start(self, env_vars: Mapping[str, Any]) -> None:
        """Start the process; it has the version's code and layers to import from, and nothing else."""
        version = self.function_version.config
        self._folder = Path(tempfile.mkdtemp(prefix="environment-"))
        self._runtime = LambdaRuntime(
            _unpacked(version.code),
            [_unpacked(layer.code) for layer in version.layers],
            self._folder,
            {name: str(value) for name, value in env_vars.items() if name not in _NOT_HERE},
            version.timeout,
            Path(os.environ[PACKAGES_VARIABLE]),
        )
        _starter.submit(self._runtime.__enter__).result()

    def stop(self) -> None:
        """End the process, whatever it does; does nothing where it has ended."""
        if self._runtime is not None:
            self._runtime.__exit__()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def invoke(self, payload: Mapping[str, str]) -> InvocationResult:
        """Return what the function answers, or how it failed."""
        assert self._runtime is not None
        said_before = len(self._runtime.log())
        try:
            answer, failed = self._runtime.invoke(json.loads(payload["payload"])), False
        except FunctionTimedOut as error:
            answer, failed = {"errorType": "Sandbox.Timedout", "errorMessage": str(error.payload)}, True
        except FunctionError as error:
            answer, failed = error.payload, True
        logs = self._runtime.log()[said_before:]
        return InvocationResult(payload["invoke-id"], json.dumps(answer).encode(), failed, logs)

    def get_logs(self) -> str:
        """Return what the process has written."""
        return self._runtime.log() if self._runtime is not None else ""

    def get_address(self) -> str:
        """Return where it runs: here."""
        return "127.0.0.1"

    def get_endpoint_from_executor(self) -> str:
        """Return where it reaches LocalStack."""
        return str(config.GATEWAY_LISTEN[0].host)

    def get_runtime_endpoint(self) -> str:
        """Return nothing: the runtime's interface is the emulator's, not LocalStack's."""
        return ""

    @classmethod
    def prepare_version(cls, function_version: FunctionVersion) -> None:
        """Unpack the code and layers."""
        for code in (function_version.config.code, *(layer.code for layer in function_version.config.layers)):
            code.prepare_for_execution()

    @classmethod
    def cleanup_version(cls, function_version: FunctionVersion) -> None:
        """Do nothing: what is unpacked goes with LocalStack's folder."""


def _unpacked(code: Any) -> Path:
    return Path(code.get_unzipped_code_location())
