"""SweepFunction: the scheduled repair pass."""

from dataclasses import asdict
from functools import cache
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from opdex.database import Database
from opdex.embedding import make_embedder
from opdex.jobs.sweep import sweep
from opdex.jobs.wakeups import WakeUpSender
from opdex.observability import logger, metrics
from opdex.settings import SweepSettings

# A batch that is under way when retention's time is up ends within this; the function's time-out would undo it.
_LAST_BATCH_SECONDS = 10.0


@cache
def _reach() -> tuple[SweepSettings, Database, WakeUpSender]:
    settings = SweepSettings.read()
    return settings, Database(settings), WakeUpSender(settings.embed_queue_url)


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Repair what messages and workers lost; answers what was done."""
    settings, database, sender = _reach()
    swept = asdict(
        sweep(
            database,
            sender,
            make_embedder(settings).identity,
            workers=settings.workers,
            max_attempts=settings.max_attempts,
            retention_days=settings.retention_days,
            seconds=context.get_remaining_time_in_millis() / 1000 - _LAST_BATCH_SECONDS,
        )
    )
    for name, count in swept.items():
        metrics.add_metric(f"Swept{name.title().replace('_', '')}", MetricUnit.Count, count)
    logger.info("swept", extra=swept)
    return swept
