"""What the engine's tests work with: the real store and worker, a scripted embedder, a queue that only remembers."""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from opdex.catalog.models import Upload
from opdex.catalog.store import create_catalog
from opdex.catalog.upload import store_document
from opdex.database import Connection, Database
from opdex.embedding import BatchLimits, ModelIdentity, Pace, Vector
from opdex.errors import CatalogExists, OpdexError, ProviderUnavailable, QueueUnavailable
from opdex.indexing.deadline import Deadline
from opdex.indexing.slice import SliceResult
from opdex.indexing.worker import Worker
from opdex.jobs import queries
from opdex.jobs.models import EmbeddingStatus, JobWithEvents
from opdex.jobs.wakeups import WakeUp
from opdex.openapi import describe
from opdex.settings import DatabaseSettings, EmbedSettings

CATALOG = "catalog"


def document(summaries: Iterable[str]) -> bytes:
    """Return an OpenAPI document with one GET for each summary."""
    paths = {f"/things/{number}": {"get": {"summary": text}} for number, text in enumerate(summaries)}
    return json.dumps({"openapi": "3.0.3", "info": {"title": "Things", "version": "1"}, "paths": paths}).encode()


def things(count: int, kind: str = "thing") -> list[str]:
    """Return that many summaries, each another."""
    return [f"{kind} number {number}" for number in range(count)]


def raising(error: OpdexError) -> Callable[[Sequence[str]], None]:
    """Return the script of an embedder that always fails in this way."""

    def script(texts: Sequence[str]) -> None:
        raise error

    return script


@dataclass
class ScriptedEmbedder:
    """Embeds by hashing. ``script`` is called with each call's texts first, and may raise or act."""

    max_texts: int = 4
    seconds_a_call: float = 0.0
    script: Callable[[Sequence[str]], None] = lambda texts: None
    provider: str = "scripted"
    model: str = "hash-8"
    calls_in_flight: int = 1
    reachable: bool = True
    calls: list[list[str]] = field(default_factory=list)

    @property
    def identity(self) -> ModelIdentity:
        return ModelIdentity(self.provider, self.model)

    @property
    def batch_limits(self) -> BatchLimits:
        return BatchLimits(self.max_texts, 1_000_000)

    @property
    def texts(self) -> list[str]:
        return [text for call in self.calls for text in call]

    def embed(self, texts: Sequence[str], timeout: float) -> list[Vector]:
        self.script(texts)
        self.calls.append(list(texts))
        threading.Event().wait(self.seconds_a_call)
        return self.embed_queries(texts)

    def embed_queries(self, texts: Sequence[str]) -> list[Vector]:
        return [[byte / 255 + 0.01 for byte in hashlib.sha256(text.encode()).digest()[:8]] for text in texts]

    def probe(self) -> None:
        if not self.reachable:
            raise ProviderUnavailable


@dataclass
class RememberedWakeUps:
    """A queue that delivers nothing; ``broken`` makes it refuse."""

    sent: list[tuple[WakeUp, float]] = field(default_factory=list)
    broken: bool = False

    def send(self, wake_up: WakeUp, delay_seconds: float = 0) -> None:
        if self.broken:
            raise QueueUnavailable
        self.sent.append((wake_up, delay_seconds))

    def of_kind(self, kind: str) -> list[tuple[int, float]]:
        """Return (job id, delay) of the wake-ups of a kind."""
        return [(wake_up.job_id, delay) for wake_up, delay in self.sent if wake_up.kind == kind]


class Engine:
    """One database with the real store and as many workers as a test makes."""

    def __init__(self, database_url: str) -> None:
        self.settings = DatabaseSettings(database_url=SecretStr(database_url))
        self.database = Database(self.settings)
        self.embedder = ScriptedEmbedder()
        self.wake_ups = RememberedWakeUps()

    def close(self) -> None:
        self.database.close()

    def upload(self, spec_name: str, summaries: Iterable[str], catalog_id: str = CATALOG) -> Upload:
        """Store a document of these summaries."""
        return self.store(spec_name, document(summaries), catalog_id)

    def store(self, spec_name: str, raw: bytes, catalog_id: str = CATALOG) -> Upload:
        """Store a document as the HTTP route does."""
        try:
            with self.database.transaction() as c:
                create_catalog(c, id=catalog_id, name=catalog_id, version="1")
        except CatalogExists:
            pass
        with self.database.transaction() as c:
            return store_document(c, catalog_id, spec_name, raw, describe(raw), "upload", None, self.embedder.identity)

    def job_id(self, spec_name: str, summaries: Iterable[str], catalog_id: str = CATALOG) -> int:
        """Store a document and return the job that it opened."""
        job_id = self.upload(spec_name, summaries, catalog_id).job_id
        assert job_id is not None
        return job_id

    def worker(self, embedder: ScriptedEmbedder | None = None, **settings: Any) -> "WorkerUnderTest":
        return WorkerUnderTest(self, embedder or self.embedder, settings)

    def job(self, job_id: int) -> JobWithEvents:
        with self.database.transaction() as c:
            return queries.get_job(c, job_id)

    def events(self, job_id: int) -> list[str]:
        return [event.event for event in self.job(job_id).events]

    def status(self, spec_name: str, catalog_id: str = CATALOG) -> EmbeddingStatus:
        with self.database.transaction() as c:
            (status,) = queries.embedding_status(c, catalog_id, spec_name)
            return status

    def sql(self, statement: str, *values: object) -> list[dict[str, Any]]:
        """Run one statement of the test's own."""
        with self.database.transaction() as c:
            cursor = c.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def somebody_waits(self) -> bool:
        """Return whether a connection to the database waits for a lock that another has."""
        with self.database.connect() as connection:
            query = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            return connection.execute(query).fetchone() is not None

    def transact[T](self, act: Callable[[Connection], T]) -> T:
        with self.database.transaction() as c:
            return act(c)


class WorkerUnderTest:
    """A worker with a database connection of its own, as in a process of its own."""

    def __init__(self, engine: Engine, embedder: ScriptedEmbedder, settings: dict[str, Any]) -> None:
        read = EmbedSettings(database_url=engine.settings.database_url, embed_queue_url="unused", **settings)
        self.database = Database(read)
        self._worker = Worker(read, self.database, embedder, engine.wake_ups)

    @property
    def pace(self) -> Pace:
        """What the worker knows of its provider's speed."""
        return self._worker._pace

    def handle(self, job_id: int = 0, seconds: float = 60.0, wake_up: WakeUp | None = None) -> list[SliceResult]:
        """Handle one wake-up in an invocation of that many seconds, and close the connection."""
        try:
            ends_at = time.monotonic() + seconds
            deadline = Deadline(lambda: int((ends_at - time.monotonic()) * 1000))
            return self._worker.handle(wake_up or WakeUp(job_id=job_id), deadline)
        finally:
            self.database.close()

    def outcomes(self, **invocation: Any) -> list[str]:
        return [result.outcome for result in self.handle(**invocation)]


def wait_until(condition: Callable[[], bool], seconds: float = 10.0, every: float = 0.005) -> None:
    """Return as soon as the condition holds, asked every so many seconds. Raises AssertionError where it never does."""
    ends_at = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends_at, "the condition did not come true in time"
        threading.Event().wait(every)
