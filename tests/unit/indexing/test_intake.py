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


class Away:
    """A worker whose database is away."""

    def handle(self, wake_up: WakeUp, deadline: Deadline) -> list[SliceResult]:
        raise DatabaseUnavailable


@dataclass
class Queue:
    """Remembers after how many seconds a message is to be seen again."""

    away: bool = False
    seconds: list[int] = field(default_factory=list)

    def see_again(self, receipt_handle: str, after_seconds: int) -> None:
        if self.away:
            raise QueueUnavailable
        self.seconds.append(after_seconds)


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
