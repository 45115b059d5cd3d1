"""What a search costs among 100,000 operations in 100 catalogs, in the handler, the query's embedding left out."""

import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from statistics import mean, median, quantiles
from urllib.parse import urlencode

import numpy as np
import pytest
from pydantic import SecretStr

from opdex.catalog.upload import store_document
from opdex.database import Database
from opdex.embedding import Vector
from opdex.embedding.minilm import MiniLmEmbedder
from opdex.embedding.vector_index import index_vectors
from opdex.http.context import ApiContext
from opdex.http.keys_store import create_key
from opdex.http.routing import BASE_PATH
from opdex.jobs.wakeups import WakeUp
from opdex.openapi import describe
from opdex.ranking.ranker import Query
from opdex.search.models import SearchRequest
from opdex.search.searcher import Searcher
from opdex.settings import ApiSettings, DatabaseSettings
from tests.benchmarks.figures import Record
from tests.benchmarks.library import documents, vectors
from tests.benchmarks.uploads import Uploads
from tests.gateway import Gateway, whole_service

_CATALOGS, _OPERATIONS = 100, 1_000
_QUERIES = 200
_ROUNDS = 5
_RECALLED = 50
_ONE = ("Create a new {} entry", "list all {}", "delete one of the {}", "update the status of {}", "who may read {}")
_SIX = (
    "Create {0} for a customer, then list the newest {1}, update one of them, delete the {2} that are old, "
    "send a message to a channel and get the status of the upload"
)
# As long as a query may be, of words that many operations say, in as many clauses as are ranked apart.
_LONGEST = ", then ".join(
    f"{verb} the users files projects and list of all the {{}} by id for a customer from an update of the account data"
    for verb in ("create", "list", "delete", "update", "get", "send", "add", "find")
)
_TEXTS = "SELECT DISTINCT ON (text_hash) text_hash, text FROM stored_operations ORDER BY text_hash"
_THINGS = ("users", "projects", "files", "subscriptions", "webhooks", "repositories", "pods", "charges", "labels")


class _Remembered(MiniLmEmbedder):
    """Embeds each query once, before its search is timed."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[str, Vector] = {}

    def embed_queries(self, texts: Sequence[str]) -> list[Vector]:
        for text in texts:
            if text not in self._known:
                (self._known[text],) = super().embed_queries([text])
        return [self._known[text] for text in texts]


class _NoWakeUps:
    def send(self, wake_up: WakeUp, delay_seconds: float = 0) -> None:
        raise AssertionError("nothing is to be embedded")


@pytest.fixture
def library(database_url: str, uploads: Uploads) -> Iterator[Database]:
    """A hundred catalogs, embedded and published, with the index over their vectors."""
    embedder = MiniLmEmbedder()
    for number, raw in enumerate(documents(_CATALOGS, _OPERATIONS)):
        uploads.create_catalog(f"catalog-{number}")
        with uploads.database.transaction() as c:
            store_document(c, f"catalog-{number}", "library", raw, describe(raw), "upload", None, embedder.identity)
    database = Database(DatabaseSettings(database_url=SecretStr(database_url)))
    with database.transaction() as c:
        rows = c.execute(_TEXTS).fetchall()
        c.execute("UPDATE models SET dimension = 384")
        made = vectors([row["text"] for row in rows])
        with c.cursor().copy("COPY vectors (model_id, text_hash, embedding) FROM STDIN") as copy:
            for row, vector in zip(rows, made, strict=True):
                copy.write_row((1, row["text_hash"], str(vector.tolist())))
        c.execute("UPDATE specs SET published_revision = current_revision, published_model_id = 1")
        c.execute("UPDATE jobs SET status = 'succeeded', completed_at = now()")
    index_vectors(database, seconds=600)
    with database.connect() as connection:
        connection.execute("VACUUM ANALYZE")
    yield database
    database.close()


@pytest.mark.timeout(3600)
def test_search(library: Database, database_url: str, record: Record) -> None:
    embedder = _Remembered()
    settings = ApiSettings(database_url=SecretStr(database_url), embed_queue_url="unused")

    def gateway() -> Gateway:
        key = _reader(library)
        return Gateway(whole_service(ApiContext(settings, library, _NoWakeUps(), lambda: embedder)), key=key)

    cold = gateway()
    began = time.monotonic()
    first = cold.call("GET", f"{BASE_PATH}/search?q=list+all+users").json
    record("first search of a process that is cold, over all catalogs", time.monotonic() - began, "s", at_most=3.0)
    assert first["ranking"] == "hybrid"
    assert "note" not in first

    draw = random.Random(1)
    one = [draw.choice(_ONE).format(draw.choice(_THINGS)) for _ in range(_QUERIES)]
    six = [_SIX.format(*draw.sample(_THINGS, 3)) for _ in range(_QUERIES)]
    longest = [_LONGEST.format(*[thing] * 8)[:1000] for thing in _THINGS]
    for query in (*one, *six, *longest):
        embedder.embed_queries(Query.of(query).texts)
    warm = gateway()

    def in_catalog(q: str) -> dict[str, str]:
        return {"q": q, "catalog": f"catalog-{draw.randrange(_CATALOGS)}"}

    in_turn = [f"catalog-{number}" for number in draw.sample(range(_CATALOGS), _CATALOGS)]
    never = _milliseconds(warm, one[:_CATALOGS], lambda q: {"q": q, "catalog": in_turn.pop()})
    record("one catalog, not searched before by this process, one clause, p50", median(never), "ms")
    single = _milliseconds(warm, one * _ROUNDS, in_catalog)
    record("one catalog, one clause, p50", median(single), "ms", at_most=15.0)
    record("one catalog, one clause, p99", quantiles(single, n=100)[98], "ms", at_most=60.0)
    several = _milliseconds(warm, six, in_catalog)
    ratio = median(several) / median(single)
    record("one catalog, six clauses, p50", ratio, "x one clause", at_most=3.0, milliseconds=median(several))
    everywhere = _milliseconds(warm, one, lambda q: {"q": q})
    record("all catalogs, one clause, p50", median(everywhere), "ms", at_most=60.0)
    slowest = max(_milliseconds(warm, longest, lambda q: {"q": q}))
    record("all catalogs, 1,000 characters of frequent words, the slowest", slowest, "ms", at_most=1000.0)

    searcher = Searcher(library, lambda: embedder, settings.search_cache_bytes)
    exact = _exact(library, embedder)
    for name, tag in (("", None), (" under a filter that keeps 1 %", "tag-7")):
        recalls = []
        for query in one[:_RECALLED]:
            answer = searcher.search(SearchRequest(q=query, ranking="semantic", limit=10, tag=tag))
            tenth = exact(query, tag)
            recalls.append(sum(operation.score >= tenth - 1e-4 for operation in answer.operations) / 10)
        record(f"recall@10 of the semantic part{name}", mean(recalls), "", at_least=0.99)


def _reader(database: Database) -> str:
    """Return a reader's key."""
    with database.transaction() as c:
        return create_key(c, f"reader-{time.monotonic_ns()}", "reader", None).key


def _milliseconds(gateway: Gateway, queries: Sequence[str], asked: Callable[[str], dict[str, str]]) -> list[float]:
    """Return how long each search took, in a process that has searched all catalogs before."""
    gateway.call("GET", f"{BASE_PATH}/search?q=users")
    taken = []
    for query in queries:
        address = f"{BASE_PATH}/search?{urlencode(asked(query))}"
        began = time.perf_counter()
        answer = gateway.call("GET", address)
        taken.append((time.perf_counter() - began) * 1000)
        assert answer.status == 200
    return taken


def _exact(database: Database, embedder: _Remembered) -> Callable[[str, str | None], float]:
    """Return what gives the cosine of the tenth nearest operation, by a look at each."""
    with database.transaction() as c:
        rows = c.execute("SELECT o.tags, v.embedding FROM operations o JOIN vectors v USING (text_hash)").fetchall()
    matrix = np.array([json.loads(row["embedding"]) for row in rows], np.float32)
    tags = np.array([row["tags"][0] for row in rows])

    def tenth(query: str, tag: str | None) -> float:
        cosines = matrix @ np.array(embedder.embed_queries([query])[0], np.float32)
        kept = cosines if tag is None else cosines[tags == tag]
        return float(np.sort(kept)[-10])

    return tenth
