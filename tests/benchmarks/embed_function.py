"""EmbedFunction as AWS runs it: the real handler in a warm process of its own, one event at a time."""

import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

from opdex.jobs.wakeups import WakeUp
from tests.benchmarks.execution_environment import ExecutionEnvironment, Invocation
from tests.benchmarks.uploads import Stored, Uploads

_INVOCATION_SECONDS = 300.0


class EmbedFunction:
    """One execution environment with these variables. A context manager; its log goes nowhere, or to a file."""

    def __init__(self, variables: Mapping[str, str], log: Path | None = None) -> None:
        self._environment = ExecutionEnvironment(_serve, variables, log)

    def __enter__(self) -> Self:
        self._environment.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._environment.__exit__()

    def start(self, job_id: int) -> None:
        """Hand the handler the wake-up of a job."""
        self._environment.send(_event(WakeUp(job_id=job_id)))

    def finish(self) -> None:
        """Return once the handler has answered. Fails where it could not handle the wake-up."""
        answer = self._environment.receive()
        assert answer == {"batchItemFailures": []}, answer

    def index(self, uploads: Uploads, stored: Stored) -> float:
        """Let what was stored be indexed; return the seconds from its commit until the handler answered."""
        assert stored.job_id is not None
        self.start(stored.job_id)
        self.finish()
        seconds = time.monotonic() - stored.committed
        assert uploads.is_published(stored)
        return seconds


def _serve(pipe: Connection) -> None:
    from functions.embed.handler import handler

    while (event := pipe.recv()) is not None:
        pipe.send(handler(event, Invocation("EmbedFunction", _INVOCATION_SECONDS)))


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
