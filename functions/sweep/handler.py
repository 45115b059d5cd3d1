"""SweepFunction: the scheduled repair pass; then what is due: refreshes, the first admin key, the audit, search."""

from dataclasses import asdict
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from opdex.catalog.refresh import refresh_due
from opdex.catalog.rereading import reread_documents
from opdex.catalog.segments import forget_segments, rebuild_segments
from opdex.catalog.sources import Sources
from opdex.database import Database
from opdex.embedding import make_embedder
from opdex.embedding.vector_index import index_vectors
from opdex.errors import ConfigurationError, SecretUnavailable
from opdex.fetching import Fetcher
from opdex.http.audit_store import forget_entries
from opdex.http.first_admin_key import take_over_first_admin_key
from opdex.jobs.sweep import sweep
from opdex.jobs.wakeups import WakeUpSender
from opdex.observability import Metric, logger, measure, observed
from opdex.openapi import Limits
from opdex.openapi.reader import DocumentReader
from opdex.session_guards import guard_sessions
from opdex.settings import SweepSettings

# A paused database takes about 15 s to wake, and hardly anything but this pass wakes it.
_WAKE_SECONDS = 40.0
# The last document that is fetched, read and stored is done within this; the function's time-out would undo it.
_LAST_REFRESH_SECONDS = 45.0
# So is the largest segment within this, or the largest document read again.
_LAST_SEGMENT_SECONDS = 60.0
# A batch that is under way when the time is up ends within this.
_LAST_SECONDS = 10.0
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

    database.wait(_WAKE_SECONDS)
    with database.transaction() as connection:
        guard_sessions(connection)
    swept = sweep(
        database,
        sender,
        model,
        workers=settings.workers,
        max_attempts=settings.max_attempts,
        retention_days=settings.retention_days,
        seconds=seconds_left() * _SWEEP_SHARE,
    )
    sources = Sources(database, fetcher, DocumentReader(settings), model)
    refreshed = refresh_due(sources, sender, seconds=seconds_left() - _LAST_REFRESH_SECONDS)
    keys = _take_over_first_admin_key(settings, database)
    entries = forget_entries(database, days=settings.audit_retention_days, seconds=seconds_left() - _LAST_SECONDS)
    counts = {
        **asdict(swept),
        **asdict(refreshed),
        "keys_taken_over": keys,
        "forgotten_audit_entries": entries,
    }
    for name, metric in _METRIC_OF.items():
        measure(metric, counts[name])
    # Last, and after the metrics: the time-out of a pass that has very much to make takes nothing else with it.
    rebuilt = rebuild_segments(database, Limits.of(settings), seconds=seconds_left() - _LAST_SEGMENT_SECONDS)
    measure("SegmentsRebuilt", rebuilt.segments)
    measure("SegmentsFailed", rebuilt.failures)
    counts["rebuilt_segments"], counts["failed_segments"] = rebuilt.segments, rebuilt.failures
    reread = reread_documents(
        database,
        sender,
        Limits.of(settings),
        model,
        workers=settings.workers,
        seconds=seconds_left() - _LAST_SEGMENT_SECONDS,
    )
    measure("DocumentsReread", reread.documents)
    measure("RereadsFailed", reread.failures)
    counts["reread_documents"], counts["failed_rereads"] = reread.documents, reread.failures
    counts["forgotten_segments"] = forget_segments(database, seconds=seconds_left() - _LAST_SECONDS)
    indexed = index_vectors(database, seconds=seconds_left() - _LAST_SECONDS)
    measure("IndexesMade", indexed.made)
    measure("IndexesFailed", indexed.failures)
    counts["indexed_models"], counts["failed_indexes"] = indexed.made, indexed.failures
    logger.info("swept", extra=counts)
    return counts


def _take_over_first_admin_key(settings: SweepSettings, database: Database) -> int:
    if settings.admin_key_secret_arn is None:
        return 0
    try:
        with database.transaction() as connection:
            return int(take_over_first_admin_key(connection, settings.admin_key_secret_arn))
    except (ConfigurationError, SecretUnavailable) as error:
        logger.error("first admin key not taken over", error_code=error.code)
        return 0
