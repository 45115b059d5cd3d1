"""EmbedFunction as AWS runs it: the real handler in a warm process of its own, one event at a time."""

import multiprocessing
import os
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

from opdex.jobs.wakeups import WakeUp
from tests.benchmarks.uploads import Stored, Uploads

_INVOCATION_SECONDS = 300.0
_PROCESSES = multiprocessing.get_context("spawn")


class EmbedFunction:
    """One execution environment with these variables. A context manager; its log goes nowhere, or to a file."""

    def __init__(self, environment: Mapping[str, str], log: Path | None = None) -> None:
        self._pipe, theirs = _PROCESSES.Pipe()
        self._process = _PROCESSES.Process(target=_run, args=(theirs, dict(environment), log), daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.send(None)
        self._process.join()

    def start(self, job_id: int) -> None:
        """Hand the handler the wake-up of a job."""
        self._pipe.send(_event(WakeUp(job_id=job_id)))

    def finish(self) -> None:
        """Return once the handler has answered. Fails where it could not handle the wake-up."""
        answer = self._pipe.recv()
        assert answer == {"batchItemFailures": []}, answer

    def index(self, uploads: Uploads, stored: Stored) -> float:
        """Let what was stored be indexed; return the seconds from its commit until the handler answered."""
        assert stored.job_id is not None
        self.start(stored.job_id)
        self.finish()
        seconds = time.monotonic() - stored.committed
        assert uploads.is_published(stored)
        return seconds


class _Invocation:
    function_name = "EmbedFunction"
    memory_limit_in_mb = 1024
    invoked_function_arn = "arn:aws:lambda:us-east-1:000000000000:function:EmbedFunction"
    aws_request_id = "invocation"

    def __init__(self) -> None:
        self._ends_at = time.monotonic() + _INVOCATION_SECONDS

    def get_remaining_time_in_millis(self) -> int:
        return int((self._ends_at - time.monotonic()) * 1000)


def _run(pipe: Connection, environment: dict[str, str], log: Path | None) -> None:
    os.environ.update(environment)
    os.dup2(os.open(log or os.devnull, os.O_WRONLY | os.O_CREAT), 1)
    from functions.embed.handler import handler  # as in AWS, the environment is there before the handler

    while (event := pipe.recv()) is not None:
        pipe.send(handler(event, _Invocation()))


def _event(wake_up: WakeUp) -> dict[str, Any]:
    record = {
        "messageId": "wake-up",
        "receiptHandle": "receipt",
        "body": wake_up.model_dump_json(exclude_none=True),
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:EmbedQueue",
        "awsRegion": "us-east-1",
    }
    return {"Records": [record]}
