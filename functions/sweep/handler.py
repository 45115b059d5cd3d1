"""SweepFunction: the scheduled pass."""

from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from opdex.database import Database
from opdex.fetching import Fetcher
from opdex.jobs.wakeups import WakeUpSender
from opdex.observability import logger, observed
from opdex.settings import SweepSettings
from opdex.sweep_pass import SweepPass


@cache
def _reach() -> tuple[SweepSettings, Database, WakeUpSender, Fetcher]:
    settings = SweepSettings.read()
    fetcher = Fetcher(settings, settings.max_document_bytes)
    return settings, Database(settings), WakeUpSender(settings.embed_queue_url), fetcher


@observed
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Repair what messages and workers lost, and do what is due; answers what was done."""
    logger.set_correlation_id(f"sweep-{context.aws_request_id}")
    done = SweepPass(*_reach(), lambda: context.get_remaining_time_in_millis() / 1000).run()
    logger.info("swept", extra=done)
    return done
