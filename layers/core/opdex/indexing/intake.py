"""One SQS record in: parse it, work, and see to it that a record that could not be handled comes back soon."""

from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from opdex.errors import MalformedWakeUp, OpdexError, QueueUnavailable
from opdex.indexing.deadline import Deadline
from opdex.indexing.worker import Worker
from opdex.jobs.wakeups import WakeUp, WakeUpSender
from opdex.observability import described, log_context, logger, measure

# Well inside the 90 s within which work goes on after the last fault, and slow enough not to hammer what is away.
_SEE_AGAIN_SECONDS = 30
# What cannot be read never will be: it should reach the dead-letter queue soon.
_SEE_MALFORMED_AGAIN_SECONDS = 0
# A receiver that is killed cannot say so, and may have held the only message of its job. A copy that comes while it
# still works does no harm.
_SEE_AGAIN_UNLESS_HANDLED_SECONDS = 45


def receive(record: SQSRecord, worker: Worker, sender: WakeUpSender, deadline: Deadline) -> None:
    """Handle one wake-up. Raises what kept it from being handled; the message then stays in the queue."""
    with log_context(message_id=record.message_id, correlation_id=None):
        _see_again(record, sender, _SEE_AGAIN_UNLESS_HANDLED_SECONDS)
        try:
            wake_up = WakeUp.parse(record.body)
            logger.set_correlation_id(wake_up.correlation_id)
            # Which job it works on is not said yet: the one that has been ready longest.
            logger.info("woken", kind=wake_up.kind, named_job_id=wake_up.job_id, sent_in_trace=_trace(record))
            worker.handle(wake_up, deadline)
        except Exception as error:
            known = error if isinstance(error, OpdexError) else OpdexError()
            logger.error("wake-up not handled", error_code=known.code, details=known.details, errors=described(error))
            measure("WakeUpsFailed")
            malformed = isinstance(error, MalformedWakeUp)
            _see_again(record, sender, _SEE_MALFORMED_AGAIN_SECONDS if malformed else _SEE_AGAIN_SECONDS)
            raise


def _trace(record: SQSRecord) -> str | None:
    trace: str | None = record.raw_event.get("attributes", {}).get("AWSTraceHeader")
    return trace


def _see_again(record: SQSRecord, sender: WakeUpSender, after_seconds: int) -> None:
    try:
        sender.see_again(record.receipt_handle, after_seconds)
    except QueueUnavailable:
        logger.warning("the message comes back only when its visibility ends")
