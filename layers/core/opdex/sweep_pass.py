"""The scheduled pass: repair, then what is due: refreshes, the first admin key, the audit, what search needs."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Final

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
from opdex.observability import Metric, logger, measure
from opdex.openapi import Limits
from opdex.openapi.reader import DocumentReader
from opdex.session_guards import guard_sessions
from opdex.settings import SweepSettings

# A paused database takes about 15 s to wake, and hardly anything but this pass wakes it.
_WAKE_SECONDS: Final = 40.0
# The last document that is fetched, read and stored is done within this; the function's time-out would undo it.
_LAST_REFRESH_SECONDS: Final = 45.0
# So is the largest segment within this, or the largest document read again.
_LAST_SEGMENT_SECONDS: Final = 60.0
# A batch that is under way when the time is up ends within this.
_LAST_SECONDS: Final = 10.0
# What there is to drop may take no more of the time than this, so that some is left for refreshes.
_REPAIR_SHARE: Final = 0.4
# What is taken back from vanished workers is measured where that is done, which is not here alone.
_METRIC_OF: Final[dict[str, Metric]] = {
    "unparked": "SweptUnparked",
    "gaps": "SweptGaps",
    "woken": "SweptWoken",
    "forgotten_jobs": "SweptForgottenJobs",
    "forgotten_revisions": "SweptForgottenRevisions",
    "forgotten_operations": "SweptForgottenOperations",
    "forgotten_vectors": "SweptForgottenVectors",
    "refreshed": "SpecsRefreshed",
    "refreshes_failed": "RefreshesFailed",
    "rebuilt_segments": "SegmentsRebuilt",
    "failed_segments": "SegmentsFailed",
    "reread_documents": "DocumentsReread",
    "failed_rereads": "RereadsFailed",
    "indexed_models": "IndexesMade",
    "failed_indexes": "IndexesFailed",
}

type Counts = dict[str, int]


class SweepPass:
    """One pass over a database that may be asleep. ``seconds_left`` tells how long the invocation may still run."""

    def __init__(
        self,
        settings: SweepSettings,
        database: Database,
        sender: WakeUpSender,
        fetcher: Fetcher,
        seconds_left: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._database = database
        self._sender = sender
        self._fetcher = fetcher
        self._seconds_left = seconds_left
        self._limits = Limits.of(settings)
        self._model = make_embedder(settings).identity

    def run(self) -> Counts:
        """Take each step, and return what was done, by name. Raises DatabaseUnavailable.

        What may take long comes last: the time-out of a pass that has very much to make undoes nothing else.
        """
        self._database.wait(_WAKE_SECONDS)
        with self._database.transaction() as connection:
            guard_sessions(connection)
        done: Counts = {}
        for step in (
            self._repair,
            self._refresh,
            self._take_over_first_admin_key,
            self._forget_audit_entries,
            self._rebuild_segments,
            self._reread_documents,
            self._forget_segments,
            self._index_vectors,
        ):
            counts = step()
            for name in _METRIC_OF.keys() & counts:
                measure(_METRIC_OF[name], counts[name])
            done |= counts
        return done

    def _repair(self) -> Counts:
        swept = sweep(
            self._database,
            self._sender,
            self._model,
            workers=self._settings.workers,
            max_attempts=self._settings.max_attempts,
            retention_days=self._settings.retention_days,
            seconds=self._seconds_left() * _REPAIR_SHARE,
        )
        return asdict(swept)

    def _refresh(self) -> Counts:
        sources = Sources(self._database, self._fetcher, DocumentReader(self._settings), self._model)
        return asdict(refresh_due(sources, self._sender, seconds=self._seconds_left() - _LAST_REFRESH_SECONDS))

    def _take_over_first_admin_key(self) -> Counts:
        taken_over = False
        if self._settings.admin_key_secret_arn is not None:
            try:
                with self._database.transaction() as connection:
                    taken_over = take_over_first_admin_key(connection, self._settings.admin_key_secret_arn)
            except (ConfigurationError, SecretUnavailable) as error:
                logger.error("first admin key not taken over", error_code=error.code)
        return {"keys_taken_over": int(taken_over)}

    def _forget_audit_entries(self) -> Counts:
        days, seconds = self._settings.audit_retention_days, self._seconds_left() - _LAST_SECONDS
        return {"forgotten_audit_entries": forget_entries(self._database, days=days, seconds=seconds)}

    def _rebuild_segments(self) -> Counts:
        seconds = self._seconds_left() - _LAST_SEGMENT_SECONDS
        rebuilt = rebuild_segments(self._database, self._limits, seconds=seconds)
        return {"rebuilt_segments": rebuilt.segments, "failed_segments": rebuilt.failures}

    def _reread_documents(self) -> Counts:
        reread = reread_documents(
            self._database,
            self._sender,
            self._limits,
            self._model,
            workers=self._settings.workers,
            seconds=self._seconds_left() - _LAST_SEGMENT_SECONDS,
        )
        return {"reread_documents": reread.documents, "failed_rereads": reread.failures}

    def _forget_segments(self) -> Counts:
        return {"forgotten_segments": forget_segments(self._database, seconds=self._seconds_left() - _LAST_SECONDS)}

    def _index_vectors(self) -> Counts:
        indexed = index_vectors(self._database, seconds=self._seconds_left() - _LAST_SECONDS)
        return {
            "indexed_models": indexed.made,
            "indexes_under_way": indexed.going_on,
            "failed_indexes": indexed.failures,
        }
