"""One SQS record in: parse it, work, and see to it that a record that could not be handled comes back soon."""

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from opdex.errors import MalformedWakeUp, OpdexError, QueueUnavailable
from opdex.indexing.deadline import Deadline
from opdex.indexing.slice import Outcome
from opdex.indexing.worker import Worker
from opdex.jobs.wakeups import WakeUp, WakeUpSender
from opdex.observability import logger, metrics

_METRIC_OF: dict[Outcome, str] = {
    "published": "JobsPublished",
    "failed": "JobsFailed",
    "yielded": "SlicesYielded",
    "made_room": "SlicesYielded",
    "held_up": "SlicesHeldUp",
    "retried": "AttemptsFailed",
    "lease_lost": "LeasesLost",
}

# Well inside the 90 s within which work goes on after the last fault, and slow enough not to hammer what is away.
_SEE_AGAIN_SECONDS = 30
# What cannot be read never will be: it should reach the dead-letter queue soon.
_SEE_MALFORMED_AGAIN_SECONDS = 0
# A receiver that is killed cannot say so, and may have held the only message of its job. A copy that comes while it
# still works does no harm.
_SEE_AGAIN_UNLESS_HANDLED_SECONDS = 45


def receive(record: SQSRecord, worker: Worker, sender: WakeUpSender, deadline: Deadline) -> None:
    """Handle one wake-up. Raises what kept it from being handled; the message then stays in the queue."""
    _see_again(record, sender, _SEE_AGAIN_UNLESS_HANDLED_SECONDS)
    try:
        results = worker.handle(WakeUp.parse(record.body), deadline)
    except Exception as error:
        known = error if isinstance(error, OpdexError) else OpdexError()
        logger.exception(
            "wake-up not handled", error_code=known.code, details=known.details, message_id=record.message_id
        )
        malformed = isinstance(error, MalformedWakeUp)
        _see_again(record, sender, _SEE_MALFORMED_AGAIN_SECONDS if malformed else _SEE_AGAIN_SECONDS)
        raise
    for result in results:
        metrics.add_metric(_METRIC_OF[result.outcome], MetricUnit.Count, 1)
        metrics.add_metric("TextsEmbedded", MetricUnit.Count, result.texts_embedded)


def _see_again(record: SQSRecord, sender: WakeUpSender, after_seconds: int) -> None:
    try:
        sender.see_again(record.receipt_handle, after_seconds)
    except QueueUnavailable:
        logger.warning("the message comes back only when its visibility ends", message_id=record.message_id)
