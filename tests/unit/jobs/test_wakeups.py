import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

from opdex.errors import MalformedWakeUp, QueueUnavailable
from opdex.jobs.wakeups import WakeUp, WakeUpSender, sent
from tests.integration.engine import RememberedWakeUps

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


@pytest.fixture
def sqs(monkeypatch: pytest.MonkeyPatch) -> "Iterator[SQSClient]":
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        yield boto3.client("sqs")


def test_wake_up_is_read_back_when_it_was_sent(sqs: "SQSClient") -> None:
    queue_url = sqs.create_queue(QueueName="wake-ups")["QueueUrl"]
    wake_up = WakeUp(kind="lease", job_id=7, lease_token="token")

    WakeUpSender(queue_url).send(wake_up)

    (message,) = sqs.receive_message(QueueUrl=queue_url)["Messages"]
    assert WakeUp.parse(message["Body"]) == wake_up


@pytest.mark.parametrize(("asked", "sent"), [(0, 0), (-3, 0), (0.2, 1), (30.0, 30), (5000, 900)])
def test_delay_is_rounded_up_and_bounded_when_a_wake_up_is_sent(
    monkeypatch: pytest.MonkeyPatch, sqs: "SQSClient", asked: float, sent: int
) -> None:
    calls: list[dict[str, object]] = []
    monkeypatch.setattr(sqs, "send_message", lambda **call: calls.append(call))

    WakeUpSender("queue", sqs).send(WakeUp(job_id=1), asked)

    assert [call["DelaySeconds"] for call in calls] == [sent]


def test_message_comes_back_soon_when_it_is_to_be_seen_again(sqs: "SQSClient") -> None:
    queue_url = sqs.create_queue(QueueName="wake-ups", Attributes={"VisibilityTimeout": "5400"})["QueueUrl"]
    sender = WakeUpSender(queue_url)
    sender.send(WakeUp(job_id=1))
    (message,) = sqs.receive_message(QueueUrl=queue_url)["Messages"]

    sender.see_again(message["ReceiptHandle"], after_seconds=0)

    assert sqs.receive_message(QueueUrl=queue_url)["Messages"]


def test_caller_is_told_when_a_wake_up_was_not_sent() -> None:
    assert sent(RememberedWakeUps(), WakeUp(job_id=1)) is True
    assert sent(RememberedWakeUps(broken=True), WakeUp(job_id=1)) is False


def test_queue_is_unavailable_when_there_is_none(sqs: "SQSClient") -> None:
    with pytest.raises(QueueUnavailable):
        WakeUpSender("https://sqs.eu-central-1.amazonaws.com/000000000000/none").send(WakeUp(job_id=1))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "Invalid JSON: EOF"),
        ("nonsense", "Invalid JSON: expected"),
        ("[]", "Input should be an object"),
        ('{"job_id": "x"}', "Input should be a valid integer"),
        ('{"version": 2, "job_id": 1}', "Input should be 1"),
        ('{"version": 1}', "Field required"),
    ],
)
def test_message_is_refused_with_the_reason_when_it_is_no_wake_up(body: str, reason: str) -> None:
    with pytest.raises(MalformedWakeUp) as refused:
        WakeUp.parse(body)
    assert refused.value.details["reason"].startswith(reason)


@pytest.mark.parametrize("trace", [None, "Root=1-6741f0a2-3c5d7e9f1a2b3c4d5e6f7a8b;Parent=53995c3f42cd8ad8;Sampled=1"])
def test_message_carries_the_trace_of_its_sender_when_there_is_one(
    monkeypatch: pytest.MonkeyPatch, sqs: "SQSClient", trace: str | None
) -> None:
    queue_url = sqs.create_queue(QueueName="wake-ups")["QueueUrl"]
    if trace:
        monkeypatch.setenv("_X_AMZN_TRACE_ID", trace)
    else:
        monkeypatch.delenv("_X_AMZN_TRACE_ID", raising=False)

    WakeUpSender(queue_url).send(WakeUp(job_id=1))

    answer = sqs.receive_message(QueueUrl=queue_url, MessageSystemAttributeNames=["AWSTraceHeader"])
    assert answer["Messages"][0].get("Attributes", {}).get("AWSTraceHeader") == trace


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ({}, None),
        ({"correlation_id": "a-sane-one"}, "a-sane-one"),
        ({"correlation_id": "a b"}, None),
        ({"correlation_id": 7}, None),
    ],
)
def test_message_is_read_whatever_its_correlation_id_is(sent: dict[str, object], read: str | None) -> None:
    assert WakeUp.parse(json.dumps({"version": 1, "job_id": 1, **sent})) == WakeUp(job_id=1, correlation_id=read)
