"""SweepFunction: the scheduled repair pass, and then the documents whose refresh is due."""

from dataclasses import asdict
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from opdex.catalog.refresh import refresh_due
from opdex.catalog.sources import Sources
from opdex.database import Database
from opdex.embedding import make_embedder
from opdex.fetching import Fetcher
from opdex.jobs.sweep import sweep
from opdex.jobs.wakeups import WakeUpSender
from opdex.observability import Metric, logger, measure, observed
from opdex.openapi import Limits
from opdex.settings import SweepSettings

# The last document that is fetched, read and stored is done within this; the function's time-out would undo it.
_LAST_REFRESH_SECONDS = 45.0
# What there is to drop may take no more of the time than this, so that some is left for refreshes.
_SWEEP_SHARE = 0.4
# What is taken back from vanished workers is measured where that is done, which is not here alone.
_METRIC_OF: dict[str, Metric] = {
    "unparked": "SweptUnparked",
    "gaps": "SweptGaps",
    "woken": "SweptWoken",
    "forgotten_jobs": "SweptForgottenJobs",
    "forgotten_revisions": "SweptForgottenRevisions",
    "forgotten_operations": "SweptForgottenOperations",
    "forgotten_vectors": "SweptForgottenVectors",
    "refreshed": "SpecsRefreshed",
    "refreshes_failed": "RefreshesFailed",
}


@cache
def _reach() -> tuple[SweepSettings, Database, WakeUpSender, Fetcher]:
    settings = SweepSettings.read()
    fetcher = Fetcher(settings, settings.max_document_bytes)
    return settings, Database(settings), WakeUpSender(settings.embed_queue_url), fetcher


@observed
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Repair what messages and workers lost, and refresh what is due; answers what was done."""
    logger.set_correlation_id(f"sweep-{context.aws_request_id}")
    settings, database, sender, fetcher = _reach()
    model = make_embedder(settings).identity

    def seconds_left() -> float:
        return context.get_remaining_time_in_millis() / 1000

    swept = sweep(
        database,
        sender,
        model,
        workers=settings.workers,
        max_attempts=settings.max_attempts,
        retention_days=settings.retention_days,
        seconds=seconds_left() * _SWEEP_SHARE,
    )
    sources = Sources(database, fetcher, Limits.of(settings), model)
    refreshed = refresh_due(sources, sender, seconds=seconds_left() - _LAST_REFRESH_SECONDS)
    counts = {**asdict(swept), **asdict(refreshed)}
    for name, metric in _METRIC_OF.items():
        measure(metric, counts[name])
    logger.info("swept", extra=counts)
    return counts
