"""What becomes of a message that nobody can read, on a deployed stack."""

from typing import Any, cast

import boto3
import pytest

from local.deployment import STACK
from tests.integration.engine import wait_until

pytestmark = pytest.mark.localstack

_PATIENCE_SECONDS = 120.0


def test_message_reaches_the_dead_letter_queue_when_it_cannot_be_read(running_system: dict[str, Any]) -> None:
    session = boto3.session.Session("test", "test", region_name="us-east-1")
    sqs = session.client(cast(Any, "sqs"), endpoint_url=running_system["aws_endpoint_url"])
    (dead_letters,) = sqs.list_queues(QueueNamePrefix=f"{STACK}-EmbedDeadLetterQueue")["QueueUrls"]
    received: list[str] = []

    def is_there() -> bool:
        received.extend(message["Body"] for message in sqs.receive_message(QueueUrl=dead_letters).get("Messages", []))
        return bool(received)

    sqs.send_message(QueueUrl=running_system["queue_url"], MessageBody="nonsense")
    wait_until(is_there, _PATIENCE_SECONDS, every=0.2)
    assert received == ["nonsense"]
