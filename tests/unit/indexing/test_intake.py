"""A record that could not be handled stays in the queue, and is seen again when that makes sense."""

from dataclasses import dataclass, field
from typing import cast

import pytest
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from opdex.errors import DatabaseUnavailable, MalformedWakeUp, QueueUnavailable
from opdex.indexing.deadline import Deadline
from opdex.indexing.intake import receive
from opdex.indexing.slice import SliceResult
from opdex.indexing.worker import Worker
from opdex.jobs.wakeups import WakeUp, WakeUpSender
from opdex.observability import logger


class Away:
    """A worker whose database is away."""

    def handle(self, wake_up: WakeUp, deadline: Deadline) -> list[SliceResult]:
        raise DatabaseUnavailable


@dataclass
class Queue:
    """Remembers after how many seconds a message is to be seen again."""

    away: bool = False
    seconds: list[int] = field(default_factory=list)
    receipts: list[str] = field(default_factory=list)

    def see_again(self, receipt_handle: str, after_seconds: int) -> None:
        if self.away:
            raise QueueUnavailable
        self.seconds.append(after_seconds)
        self.receipts.append(receipt_handle)


def _receive(body: str, queue: Queue) -> None:
    record = SQSRecord({"messageId": "1", "receiptHandle": "receipt", "body": body})
    receive(record, cast(Worker, Away()), cast(WakeUpSender, queue), Deadline(lambda: 60_000))


def test_message_comes_back_soon_when_the_database_is_away() -> None:
    queue = Queue()

    with pytest.raises(DatabaseUnavailable):
        _receive('{"job_id": 1}', queue)

    assert queue.seconds == [45, 30]


@pytest.mark.parametrize("body", ["no json", '{"job_id": 1, "version": 2}', "{}", '{"job_id": 1, "kind": "other"}'])
def test_message_goes_on_to_the_dead_letters_at_once_when_it_cannot_be_read(
    body: str, caplog: pytest.LogCaptureFixture
) -> None:
    queue = Queue()

    with pytest.raises(MalformedWakeUp):
        _receive(body, queue)

    assert queue.seconds == [45, 0]
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_error_is_the_first_one_when_the_queue_is_away_too(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(DatabaseUnavailable):
        _receive('{"job_id": 1}', Queue(away=True))

    assert "comes back only when its visibility ends" in caplog.text


class Remembering:
    """A worker that remembers what it is given, and under which keys it would log."""

    def __init__(self) -> None:
        self.given: list[tuple[WakeUp, Deadline]] = []
        self.keys: dict[str, object] = {}

    def handle(self, wake_up: WakeUp, deadline: Deadline) -> list[SliceResult]:
        self.given.append((wake_up, deadline))
        self.keys = dict(logger.get_current_keys())
        return []


def test_worker_gets_the_message_its_deadline_and_its_ids_when_it_is_woken() -> None:
    worker, queue, deadline = Remembering(), Queue(), Deadline(lambda: 60_000)
    body = '{"job_id": 7, "correlation_id": "asked-for"}'
    record = SQSRecord({"messageId": "m-1", "receiptHandle": "receipt", "body": body})

    receive(record, cast(Worker, worker), cast(WakeUpSender, queue), deadline)

    assert worker.given == [(WakeUp(job_id=7, correlation_id="asked-for"), deadline)]
    assert worker.keys["message_id"] == "m-1"
    assert worker.keys["correlation_id"] == "asked-for"
    assert logger.get_correlation_id() is None
    assert (queue.seconds, queue.receipts) == ([45], ["receipt"])


@pytest.mark.parametrize(
    ("raised", "code"), [(DatabaseUnavailable(), "database_unavailable"), (ZeroDivisionError(), "internal_error")]
)
def test_code_of_the_error_is_logged_when_a_message_is_not_handled(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, raised: Exception, code: str
) -> None:
    def refuse(self: Away, wake_up: WakeUp, deadline: Deadline) -> list[SliceResult]:
        raise raised

    monkeypatch.setattr(Away, "handle", refuse)
    with pytest.raises(type(raised)):
        _receive('{"job_id": 1}', Queue())

    (line,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert vars(line)["error_code"] == code


def test_trace_of_the_sender_is_logged_when_the_message_carries_one(caplog: pytest.LogCaptureFixture) -> None:
    attributes = {"AWSTraceHeader": "Root=1-6741f0a2-3c5d7e9f1a2b3c4d5e6f7a8b"}
    record = SQSRecord({"messageId": "1", "receiptHandle": "r", "body": '{"job_id": 1}', "attributes": attributes})

    with caplog.at_level("INFO"):
        receive(record, cast(Worker, Remembering()), cast(WakeUpSender, Queue()), Deadline(lambda: 60_000))

    (woken,) = [line for line in caplog.records if line.getMessage() == "woken"]
    assert vars(woken)["sent_in_trace"] == attributes["AWSTraceHeader"]
