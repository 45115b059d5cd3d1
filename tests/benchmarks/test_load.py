"""Fifty requests a second against the running system for two minutes, while three jobs run on a slow provider."""

import json
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from itertools import islice, product
from pathlib import Path
from statistics import quantiles
from threading import Event, Thread
from typing import Any, Self, cast

import boto3
import psycopg
import pytest

from tests.benchmarks.embed_function import EmbedFunction
from tests.benchmarks.figures import Record
from tests.benchmarks.open_loop import Answer, OpenLoop
from tests.benchmarks.provider import Provider
from tests.benchmarks.uploads import Uploads
from tests.e2e.system import BASE, System, document, started_system

_RATE, _SECONDS = 50, 120
_MOST_MILLISECONDS = 500.0
# A client that is later than this says more of itself than of the service.
_MOST_LAG_MILLISECONDS = 50.0
# Environments are started before, where they are no part of what is measured: the emulator unpacks all packages for
# each, on the cores that requests run on.
_WARM_UP = ((1_000, 20), (5, 20), (10, 40), (20, 80), (35, 140), (50, 500))  # requests a second, how many
# Of one environment. A worker's second one renews the lease during slow calls.
_CONNECTIONS = {"ApiFunction": 1, "SearchFunction": 1, "EmbedFunction": 2, "SweepFunction": 1, "MigrateFunction": 1}

_WORKERS = 3
_SLOW = "slowly"
# What the model took that it all began with; its queries are asked of a machine that has it loaded.
_SECONDS_A_SLOW_TEXT, _SECONDS_A_CALL = 3.7, 0.04

_CATALOGS, _SPECS, _OPERATIONS = 4, 5, 50
_VERBS = ("cancel", "list", "create", "replace", "read", "export")
_THINGS = ("invoice", "subscription", "webhook", "customer", "token", "report", "shipment", "refund")
_LABELS = ("monthly", "archived", "pending", "shared", "draft", "overdue")
# In per cent. A screen that shows a catalog polls where its specs stand; the others are read when something is opened.
_SHARES = {
    "status": {
        "/api-catalogs/{catalog}/embedding-status": 40,
        "/api-catalogs/{catalog}/specs/{spec}": 10,
        "/api-catalogs/{catalog}/embedding-jobs?limit=20": 8,
        "/embedding-jobs/{job}": 5,
        "/api-catalogs/{catalog}/embedding-health": 5,
        "/embedding/status": 2,
    },
    "search": {"/search?q={query}": 10, "/search?q={query}&catalog={catalog}": 10},
    "catalog": {
        "/api-catalogs": 4,
        "/api-catalogs/{catalog}/specs": 3,
        "/api-catalogs/{catalog}/specs/{spec}/operations?limit=50": 3,
    },
}


class Connections:
    """The most connections of the product that Postgres had at a time. A context manager, for the time of its block."""

    most = 0

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._over = Event()
        self._thread = Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            while not self._over.wait(0.2):
                ((now,),) = connection.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'opdex'"
                ).fetchall()
                self.most = max(self.most, now)


@pytest.mark.timeout(400)
def test_load(record: Record, tmp_path: Path) -> None:
    provider = Provider(base_seconds=_SECONDS_A_CALL, seconds_per_text=_SECONDS_A_SLOW_TEXT, slow_marker=_SLOW)
    with provider:
        options = (f"--workers={_WORKERS}", "--embedding-provider=ollama", f"--embedding-url={provider.url}")
        with started_system(tmp_path, *options) as system:
            _index_catalogs(system, provider)
            jobs = _begin_slow_jobs(system)
            requests = _requests(jobs)
            url, headers = system.endpoint["url"] + BASE, {"X-API-Key": system.endpoint["api_key"]}
            with Connections(system.endpoint["database_url"]) as connections, OpenLoop(url, headers) as loop:
                for rate, count in _WARM_UP:
                    loop.send(list(islice(requests, count)), rate)
                before, began = [_progress(system, job) for job in jobs], time.time()
                answers = loop.send(list(islice(requests, _RATE * _SECONDS)), _RATE)
                progress = [_progress(system, job) - start for job, start in zip(jobs, before, strict=True)]
            in_functions = _in_functions(system, began)
            allowed = _allowed_connections(system)
    lag = _percentile([1000 * answer.lag for answer in answers], 99)
    record("lag of the client at 50 requests a second, p99", lag, "ms", at_most=_MOST_LAG_MILLISECONDS)
    assert lag <= _MOST_LAG_MILLISECONDS, "the client was too late to say anything of the service"
    assert all(progress), "a job stood still"
    _record(record, answers, in_functions)
    record(
        "connections to Postgres meanwhile, at most",
        connections.most,
        "connections",
        at_most=sum(allowed.values()),
        allowed=allowed,
        texts_embedded=progress,
    )


def _record(record: Record, answers: Sequence[Answer], in_functions: Sequence[float]) -> None:
    milliseconds = {kind: [1000 * answer.latency for answer in answers if answer.kind == kind] for kind in _SHARES}
    everything = [1000 * answer.latency for answer in answers]
    record(
        "50 requests a second for 2 minutes while 3 jobs run, p99",
        _percentile(everything, 99),
        "ms",
        at_most=_MOST_MILLISECONDS,
        by_kind={kind: _summary(values) for kind, values in milliseconds.items()},
        in_the_functions=_summary(in_functions),
    )
    record("the same, p50", _percentile(everything, 50), "ms")
    refused = Counter(str(answer.status) for answer in answers if answer.status != HTTPStatus.OK)
    record("of these 6,000 requests, not answered 200", refused.total(), "requests", at_most=0, by_status=dict(refused))


def _index_catalogs(system: System, provider: Provider) -> None:
    """Index what is read and searched: by a function of its own, or the stack's would take the provider for fast."""
    environment = {
        "DATABASE_URL": system.endpoint["database_url"],
        "EMBED_QUEUE_URL": system.endpoint["queue_url"],
        "AWS_ENDPOINT_URL": system.endpoint["aws_endpoint_url"],
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "EMBEDDING_PROVIDER": "ollama",
        "EMBEDDING_URL": provider.url,
    }
    with Uploads(system.endpoint["database_url"]) as uploads, EmbedFunction(environment) as function:
        for catalog in range(_CATALOGS):
            uploads.create_catalog(f"catalog-{catalog}")
            for spec in range(_SPECS):
                raw = _document(catalog * _SPECS + spec)
                function.index(uploads, uploads.store(f"spec-{spec}", raw, f"catalog-{catalog}"))


def _document(seed: int) -> bytes:
    draw = random.Random(seed)
    chosen = draw.sample(list(product(_VERBS, _LABELS, _THINGS)), _OPERATIONS)
    paths = {
        f"/{label}/{thing}s/{verb}": {"post": {"summary": f"{verb.title()} the {label} {thing} of account {seed}"}}
        for verb, label, thing in chosen
    }
    return json.dumps({"openapi": "3.1.0", "info": {"title": f"API {seed}", "version": "1"}, "paths": paths}).encode()


def _begin_slow_jobs(system: System) -> list[int]:
    """Upload what takes longer than the load, one document a worker; return the jobs once all are running."""
    jobs = [
        system.upload("catalog-0", f"{_SLOW}-{number}", document(f"{_SLOW}{number}", 1_000))["job"]["id"]
        for number in range(_WORKERS)
    ]
    while any(_progress(system, job) == 0 for job in jobs):
        Event().wait(0.1)
    return jobs


def _progress(system: System, job: int) -> int:
    """Return how far a job that runs has come."""
    told = system.call("GET", f"/embedding-jobs/{job}")
    assert told["status"] in ("pending", "running")
    return int(told.get("embedded_so_far") or 0)


def _requests(jobs: Sequence[int]) -> Iterator[tuple[str, str]]:
    """Yield requests in these shares, by kind and path, without end and the same in each run."""
    draw = random.Random(0)
    shares = {(kind, path): share for kind, paths in _SHARES.items() for path, share in paths.items()}
    while True:
        ((kind, path),) = draw.choices(list(shares), list(shares.values()))
        yield (
            kind,
            path.format(
                catalog=f"catalog-{draw.randrange(_CATALOGS)}",
                spec=f"spec-{draw.randrange(_SPECS)}",
                job=draw.choice(jobs),
                query="+".join(
                    (draw.choice(_VERBS), draw.choice(_LABELS), draw.choice(_THINGS), str(draw.randrange(1000)))
                ),
            ),
        )


def _client(system: System, service: str) -> Any:
    session = boto3.session.Session("test", "test", region_name="us-east-1")
    return session.client(cast(Any, service), endpoint_url=system.endpoint["aws_endpoint_url"])


def _allowed_connections(system: System) -> dict[str, int]:
    """Return how many connections each function may have: its environments times those of one environment."""
    functions = _client(system, "lambda")
    allowed = {}
    for function in functions.list_functions()["Functions"]:
        name = function["FunctionName"].split("-")[1]
        reserved = functions.get_function_concurrency(FunctionName=function["FunctionName"])
        # Those that reserve nothing are started by one schedule, or one deploy.
        allowed[name] = _CONNECTIONS[name] * int(reserved.get("ReservedConcurrentExecutions", 1))
    return allowed


def _in_functions(system: System, since: float) -> list[float]:
    """Return the milliseconds within the functions of requests since then, by the lines that the emulator has left."""
    logs = _client(system, "logs").get_paginator("filter_log_events")
    lines = [
        event["message"]
        for function in ("api", "search")
        for page in logs.paginate(logGroupName=f"/opdex/opdex/{function}", startTime=int(since * 1000))
        for event in page["events"]
    ]
    return [json.loads(line)["duration_ms"] for line in lines if '"duration_ms"' in line]


def _summary(milliseconds: Sequence[float]) -> dict[str, float]:
    return {f"p{percent}": round(_percentile(milliseconds, percent), 1) for percent in (50, 90, 99)}


def _percentile(values: Sequence[float], percent: int) -> float:
    return quantiles(values, n=100)[percent - 1]
