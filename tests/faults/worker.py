"""What runs in the processes that are killed, frozen and cut off: embed workers and sweeps, the product's own code."""

import contextlib
import json
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Literal

import psycopg
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from psycopg.rows import DictRow
from pydantic import SecretStr

from opdex.database import Connection, Database
from opdex.embedding import make_embedder
from opdex.errors import DatabaseUnavailable, OpdexError, QueueUnavailable
from opdex.indexing.deadline import Deadline
from opdex.indexing.intake import receive
from opdex.indexing.worker import Worker
from opdex.jobs.sweep import sweep
from opdex.jobs.wakeups import WakeUp, WakeUps, WakeUpSender
from opdex.observability import logger, metrics
from opdex.settings import EmbedSettings

# What happens to a process at one of its statements. BEGIN and COMMIT are statements too.
type Fate = Literal[
    "dies", "dies_after", "freezes",
    "loses_connection", "loses_answer", "meets_serialization_failure", "meets_full_disk",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Assignment:
    """All that a process needs to know, and what is wrong with it."""

    name: str
    queue_port: int
    database_url: str
    embedding_url: str
    lease_seconds: float
    heartbeat_seconds: float
    call_timeout_seconds: float = 2.0
    calls_in_flight: int = 2
    statement_seconds: float = 20.0
    struck_at_statement: int | None = None
    fate: Fate = "dies"
    heartbeat_fails: bool = False
    refused_share: float = 0.0  # of statements that the database refuses
    seed: int = 0

    def settings(self) -> EmbedSettings:
        """Return the settings that the function would have read from its environment."""
        return EmbedSettings(
            database_url=SecretStr(self.database_url),
            database_statement_seconds=self.statement_seconds,
            embed_queue_url="unused",
            embedding_provider="ollama",
            embedding_url=self.embedding_url,
            embedding_timeout_seconds=self.call_timeout_seconds,
            embedding_calls_in_flight=self.calls_in_flight,
            lease_seconds=self.lease_seconds,
            heartbeat_seconds=self.heartbeat_seconds,
        )


class _Destiny:
    """Counts the statements of a process and does to them what its assignment says."""

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self._random = random.Random(assignment.seed)
        self.statements = 0

    def meets(self, connection: Connection) -> None:
        """Watch over a connection from now on: each statement, BEGIN and COMMIT included, may be struck."""
        plain_wait = connection.wait

        def wait(gen: Generator[Any, Any, Any], interval: float = 0.1, timeout: float | None = None) -> Any:
            try:
                self._strike(connection, is_command=getattr(gen, "__name__", "") != "_execute_gen")
            except psycopg.Error:
                gen.close()
                raise
            answer = plain_wait(gen, interval, timeout)
            self._strike_after(connection)
            return answer

        connection.wait = wait  # type: ignore[method-assign]

    def _strike(self, connection: psycopg.Connection[DictRow], *, is_command: bool) -> None:
        self.statements += 1
        if self.statements == self._assignment.struck_at_statement:
            match self._assignment.fate:
                case "dies":
                    os.kill(os.getpid(), signal.SIGKILL)
                case "freezes":
                    os.kill(os.getpid(), signal.SIGSTOP)
                case "loses_connection":
                    connection.pgconn.finish()
                    raise psycopg.OperationalError("scripted: the connection is gone")
                case "meets_serialization_failure" if not is_command:
                    raise psycopg.errors.SerializationFailure("scripted refusal")
                case "meets_full_disk" if not is_command:
                    raise psycopg.errors.DiskFull("scripted refusal")
        if is_command:
            return  # no database refuses a ROLLBACK
        if self._assignment.heartbeat_fails and threading.current_thread().name == "heartbeat":
            raise psycopg.OperationalError("scripted: the heartbeat's connection is gone")
        if self._random.random() < self._assignment.refused_share:
            refusal = self._random.choice((psycopg.errors.SerializationFailure, psycopg.errors.DiskFull))
            raise refusal("scripted refusal")

    def _strike_after(self, connection: psycopg.Connection[DictRow]) -> None:
        if self.statements == self._assignment.struck_at_statement:
            match self._assignment.fate:
                case "dies_after":
                    os.kill(os.getpid(), signal.SIGKILL)
                case "loses_answer":
                    connection.pgconn.finish()
                    raise psycopg.OperationalError("scripted: the answer is lost on the way")


def signed(connection: Connection, name: str) -> Connection:
    """Return the connection, which from now on tells the journal whose it is. Raises DatabaseUnavailable."""
    try:
        connection.execute("SELECT set_config('application_name', %s, false)", [name])
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(cause=type(error).__name__) from error
    return connection


class FaultyDatabase(Database):
    """The product's own database access, with connections that say whose they are and may be struck."""

    def __init__(self, assignment: Assignment) -> None:
        super().__init__(assignment.settings())
        self._name = assignment.name
        self._destiny = _Destiny(assignment)

    @property
    def statements(self) -> int:
        """How many have been run on its connections."""
        return self._destiny.statements

    def connect(self) -> Connection:
        connection = signed(super().connect(), self._name)
        self._destiny.meets(connection)
        return connection


class QueueClient(WakeUpSender):
    """The process's side of the test's queue: one line of JSON there, one back. Not for two threads at once."""

    def __init__(self, port: int, name: str) -> None:
        super().__init__("unused")
        self._name = name
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._file = self._socket.makefile("rw", encoding="utf-8")

    def send(self, wake_up: WakeUp, delay_seconds: float = 0) -> None:
        body = wake_up.model_dump_json(exclude_none=True)
        if not self.ask("send", body=body, delay=delay_seconds)["taken"]:
            raise QueueUnavailable(cause="scripted")

    def see_again(self, receipt_handle: str, after_seconds: int) -> None:
        self.ask("again", receipt=int(receipt_handle), after=after_seconds)

    def ask(self, act: str, **values: object) -> dict[str, Any]:
        """Return the queue's answer. Raises EOFError where the run is over."""
        try:
            self._file.write(json.dumps({"act": act, "sender": self._name, **values}) + "\n")
            self._file.flush()
            answer = self._file.readline()
        except OSError as error:
            raise EOFError from error
        if not answer:
            raise EOFError
        return dict(json.loads(answer))


def work(assignment: Assignment) -> None:
    """Handle one message after another until killed, or until the queue ends."""
    logger.setLevel("CRITICAL")
    queue = QueueClient(assignment.queue_port, assignment.name)
    settings = assignment.settings()
    worker = Worker(settings, FaultyDatabase(assignment), make_embedder(settings), queue)
    try:
        while True:
            message = queue.ask("receive")
            if message["body"] is None:
                continue
            ends_at = time.monotonic() + message["seconds"]
            deadline = Deadline(lambda ends_at=ends_at: int((ends_at - time.monotonic()) * 1000))  # type: ignore[misc]
            record = SQSRecord(
                {"messageId": "wake-up", "receiptHandle": str(message["receipt"]), "body": message["body"]}
            )
            try:
                receive(record, worker, queue, deadline)
            except OpdexError as error:
                queue.ask("refused", receipt=message["receipt"], reason=error.code)
            else:
                queue.ask("done", receipt=message["receipt"])
            metrics.clear_metrics()
    except EOFError:
        return


def sweep_once(assignment: Assignment, workers: int) -> None:
    """Make one pass of the sweep, as the scheduled function does."""
    with contextlib.suppress(OpdexError, EOFError):  # the next pass repairs what this one could not
        sweep_here(assignment, QueueClient(assignment.queue_port, assignment.name), workers)


def sweep_here(assignment: Assignment, wake_ups: WakeUps, workers: int) -> FaultyDatabase:
    """Make one pass of the sweep, and return the database access that it was made with."""
    settings = assignment.settings()
    with contextlib.closing(FaultyDatabase(assignment)) as database:
        sweep(
            database,
            wake_ups,
            make_embedder(settings).identity,
            workers=workers,
            max_attempts=settings.max_attempts,
            retention_days=14,
        )
        return database
