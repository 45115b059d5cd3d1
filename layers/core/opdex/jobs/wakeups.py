"""Wake-ups: SQS messages saying that work may be ready. Hints and nothing more; the sweep sends again what got lost."""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Literal, Protocol, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from opdex import aws
from opdex.errors import MalformedWakeUp, QueueUnavailable
from opdex.observability import logger, sane_id

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageSystemAttributeValueTypeDef

# The longest delay that SQS takes.
_LONGEST_DELAY_SECONDS = 900


class WakeUp(BaseModel):
    """One message. ``ready``: a job may be ready. ``lease``: the lease under this token should have ended by now.

    ``round`` counts how often it was sent on; copies of one message share it. ``correlation_id`` is that of the job,
    whoever sends the message; a message without one, or with one that is none, is as good as any.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: Literal[1] = 1
    kind: Literal["ready", "lease"] = "ready"
    job_id: int
    lease_token: str | None = None
    round: int = 0
    correlation_id: Annotated[str | None, BeforeValidator(sane_id)] = None

    @classmethod
    def parse(cls, body: str) -> Self:
        """Return the message of an SQS body. Raises MalformedWakeUp."""
        try:
            return cls.model_validate_json(body)
        except ValidationError as error:
            raise MalformedWakeUp(reason=error.errors(include_url=False, include_input=False)[0]["msg"]) from None


class WakeUps(Protocol):
    """Where wake-ups go."""

    def send(self, wake_up: WakeUp, delay_seconds: float = 0) -> None:
        """Send one wake-up. Raises QueueUnavailable."""


def sent(wake_ups: WakeUps, wake_up: WakeUp, delay_seconds: float = 0) -> bool:
    """Send one wake-up; False, and a line in the log, where the queue is away. The sweep makes up for it."""
    try:
        wake_ups.send(wake_up, delay_seconds)
    except QueueUnavailable as error:
        logger.warning("wake-up not sent; the sweep will", job_id=wake_up.job_id, cause=error.details.get("cause"))
        return False
    return True


class WakeUpSender:
    """Sends wake-ups to the embed queue; always after a commit, never inside a transaction."""

    def __init__(self, queue_url: str, client: "SQSClient | None" = None) -> None:
        self._queue_url = queue_url
        self._client = client

    def send(self, wake_up: WakeUp, delay_seconds: float = 0) -> None:
        """Send one wake-up, delayed at most 900 s (a receiver that comes too early sends it again).

        Raises QueueUnavailable.
        """
        delay = max(0, min(_LONGEST_DELAY_SECONDS, math.ceil(delay_seconds)))
        body = wake_up.model_dump_json(exclude_none=True)
        # Joins the trace of whoever sends with that of whoever is woken; Lambda sets it anew for each invocation.
        trace = os.environ.get("_X_AMZN_TRACE_ID")
        traced: dict[Literal["AWSTraceHeader"], MessageSystemAttributeValueTypeDef] = (
            {"AWSTraceHeader": {"DataType": "String", "StringValue": trace}} if trace else {}
        )
        with _translated():
            self._sqs().send_message(
                QueueUrl=self._queue_url, MessageBody=body, DelaySeconds=delay, MessageSystemAttributes=traced
            )

    def see_again(self, receipt_handle: str, after_seconds: int) -> None:
        """Let a message that could not be handled come back soon, not at the end of the queue's long visibility.

        Raises QueueUnavailable.
        """
        with _translated():
            self._sqs().change_message_visibility(
                QueueUrl=self._queue_url, ReceiptHandle=receipt_handle, VisibilityTimeout=after_seconds
            )

    def _sqs(self) -> "SQSClient":
        if self._client is None:
            self._client = aws.client("sqs")
        return self._client


@contextmanager
def _translated() -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise QueueUnavailable(cause=type(error).__name__) from error
