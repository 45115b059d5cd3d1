"""What the routes work with: one explicit object, built once a process."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from opdex.database import Database, ReadOnly
from opdex.embedding import Embedder
from opdex.http.audit_store import Subject
from opdex.http.authentication import Caller, authenticate
from opdex.http.changes import Changes
from opdex.jobs.wakeups import WakeUp, WakeUps, sent
from opdex.observability import correlation_id, logger
from opdex.settings import ApiSettings, SearchSettings

if TYPE_CHECKING:
    from opdex.fetching import Fetcher
    from opdex.search.searcher import Searcher

_SECOND_WAKE_UP_SECONDS = 45
# Of a request's time, once the database has been given up: for the answer, which the gateway does not wait for longer.
_ANSWER_SECONDS = 4.0


class ReadContext:
    """What answers readers: the settings, the database, and the embedder that is made when a request first needs it.

    ``database`` can only be read.
    """

    settings: SearchSettings

    def __init__(self, settings: SearchSettings, database: Database, make_embedder: Callable[[], Embedder]) -> None:
        self.settings = settings
        self.database = ReadOnly(database)
        self.make_embedder = make_embedder
        self._database = database

    def answering_within(self, seconds: float) -> AbstractContextManager[None]:
        """Return the context of a request that is to be answered in that time, whatever the database does."""
        return self._database.giving_up_after(seconds - _ANSWER_SECONDS)

    def caller(self, event: Mapping[str, Any]) -> Caller:
        """Return who sent an event. Raises Unauthenticated."""
        return authenticate(event, self.settings, self._database)

    @cached_property
    def embedder(self) -> Embedder:
        """The embedding provider of this stack. Raises ConfigurationError."""
        return self.make_embedder()

    @cached_property
    def searcher(self) -> "Searcher":
        """What finds operations."""
        from opdex.search.searcher import Searcher  # it brings numpy, which nothing else needs

        return Searcher(self.database, lambda: self.embedder, self.settings.search_cache_bytes)


class ApiContext(ReadContext):
    """The queue besides, and a way to change something: through :meth:`changes`, and so into the audit."""

    settings: ApiSettings

    def __init__(
        self, settings: ApiSettings, database: Database, wake_ups: WakeUps, make_embedder: Callable[[], Embedder]
    ) -> None:
        super().__init__(settings, database, make_embedder)
        self.wake_ups = wake_ups

    def changes(self, subject: Subject) -> Changes:
        """Return the transactions in which the request under way changes a subject."""
        return Changes(self._database, subject)

    @cached_property
    def fetcher(self) -> "Fetcher":
        """What fetches documents from their URLs."""
        from opdex.fetching import Fetcher  # its client costs a cold start more than most requests need

        return Fetcher(self.settings, self.settings.max_document_bytes)

    def wake(self, *job_ids: int | None) -> None:
        """Wake a worker for each of these jobs, as many as there are, after the commit. Never fails a request.

        Those wake more themselves: each claim wakes the next. One more wake-up follows later, since these are lost for
        long where their workers die before they have claimed anything.
        """
        named = [job_id for job_id in job_ids if job_id is not None]
        if not named:
            return
        logger.info("jobs are open", job_ids=named)
        ready = [WakeUp(job_id=job_id, correlation_id=correlation_id()) for job_id in named]
        ready = ready[: max(1, self.settings.workers)]
        if all(sent(self.wake_ups, wake_up) for wake_up in ready):
            sent(self.wake_ups, ready[0], _SECOND_WAKE_UP_SECONDS)
