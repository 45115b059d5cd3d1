"""EmbedFunction: woken by the queue, works off ready jobs. Its reserved concurrency is the number of workers."""

from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from opdex.database import Database
from opdex.embedding import make_embedder
from opdex.indexing.deadline import Deadline
from opdex.indexing.intake import receive
from opdex.indexing.worker import Worker
from opdex.jobs.wakeups import WakeUpSender
from opdex.observability import billed, observed
from opdex.settings import EmbedSettings

processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


@cache
def _worker() -> tuple[Worker, WakeUpSender]:
    settings = EmbedSettings.read()
    sender = WakeUpSender(settings.embed_queue_url)
    return Worker(settings, Database(settings), make_embedder(settings), sender), sender


@observed
@billed
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Handle wake-ups; one that could not be handled stays in the queue and is seen again soon."""
    deadline = Deadline(context.get_remaining_time_in_millis)

    def record_handler(record: SQSRecord) -> None:
        receive(record, *_worker(), deadline)

    return process_partial_response(event, record_handler, processor, context)
