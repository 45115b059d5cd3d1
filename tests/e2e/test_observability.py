"""What a running system tells from outside: every metric, and one id from a request to the last line that it causes."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, get_args

import boto3
import psycopg
import pytest

from opdex import observability
from tests.e2e.system import System, document, started_system
from tests.ollama_server import Failure, OllamaServer

STACK = "opdex"
_PATIENCE_SECONDS = 60.0
_SECRET_WORDS = "Xylophonic quenching of the marmalade"


@dataclass
class Seen:
    """All that a system has written to CloudWatch Logs, and the request that was followed."""

    lines: dict[str, list[dict[str, Any]]]  # by function
    raw: str
    request_id: str
    job_id: int
    api_key: str
    database_url: str

    def metrics(self) -> dict[str, dict[str, Any]]:
        """Return unit, dimension sets and the sum of each metric by name."""
        found: dict[str, dict[str, Any]] = {}
        for line in (line for lines in self.lines.values() for line in lines if "_aws" in line):
            for told in line["_aws"]["CloudWatchMetrics"]:
                assert told["Namespace"] == STACK
                for metric in told["Metrics"]:
                    entry = found.setdefault(metric["Name"], {"unit": metric["Unit"], "dimensions": set(), "sum": 0.0})
                    assert entry["unit"] == metric["Unit"]
                    entry["dimensions"] |= {tuple(sorted(names)) for names in told["Dimensions"]}
                    entry["sum"] += sum(line[metric["Name"]])
        return found


def _wait(condition: Callable[[], Any], what: str) -> Any:
    ends_at = time.monotonic() + _PATIENCE_SECONDS
    while not (result := condition()):
        assert time.monotonic() < ends_at, what
        time.sleep(0.05)
    return result


class Run:
    """Makes a system do everything that there is a metric for."""

    def __init__(self, system: System, server: OllamaServer) -> None:
        self._system = system
        self._server = server
        self._session = boto3.session.Session("test", "test", region_name="us-east-1")
        system.create_catalog("seen")

    def client(self, service: str) -> Any:
        return self._session.client(service, endpoint_url=self._system.endpoint["aws_endpoint_url"])  # type: ignore[call-overload]

    def upload(self, name: str, count: int, *, expected: int = 201, request_id: str | None = None) -> Any:
        headers = {"Content-Type": "application/json"} | ({"X-Request-Id": request_id} if request_id else {})
        path = f"/api-catalogs/seen/specs/{name}/upload"
        return self._system.call("PUT", path, expected, content=document(name, count), headers=headers)

    def wait_for(self, job_id: int, *statuses: str) -> dict[str, Any]:
        def job() -> dict[str, Any] | None:
            found: dict[str, Any] = self._system.call("GET", f"/embedding-jobs/{job_id}")
            return found if found["status"] in statuses else None

        return dict(_wait(job, f"job {job_id} is none of {statuses}"))

    def index(self, name: str, count: int, status: str = "succeeded", *, request_id: str | None = None) -> int:
        job_id = int(self.upload(name, count, request_id=request_id)["job"]["id"])
        self.wait_for(job_id, status)
        return job_id

    def over_two_slices(self, request_id: str) -> int:
        """Index more than one invocation can embed, in a request of this id."""
        job_id = self.index("followed", 40, request_id=request_id)
        assert self.wait_for(job_id, "succeeded")["slices"] > 1
        return job_id

    def search(self) -> None:
        for ranking in ("hybrid", "lexical"):
            self._system.call("GET", "/search", params={"q": _SECRET_WORDS, "ranking": ranking})

    def fail_in_every_way(self) -> None:
        self._server.counts_tokens = False
        self._server.fail(Failure("status", 429, _SECRET_WORDS, retry_after="1"))
        self.index("held-up", 3)
        self._server.fail(Failure("status", 500, _SECRET_WORDS))
        self.index("tried-again", 3)
        self._server.counts_tokens = True
        models, self._server.models = self._server.models, ("another",)
        self.index("refused", 3, "failed")
        self._server.models = models

    def cancel(self) -> None:
        job_id = int(self.upload("cancelled", 40)["job"]["id"])
        self.wait_for(job_id, "running")
        self._system.call("POST", f"/embedding-jobs/{job_id}/cancel", 202)

    def lose_a_worker(self) -> None:
        """Leave a job as a worker does that vanished; the next one takes it back."""
        job_id = int(self._system.call("GET", "/api-catalogs/seen/embedding-jobs")["jobs"][-1]["id"])
        with psycopg.connect(self._system.endpoint["database_url"]) as connection:
            connection.execute(
                "UPDATE jobs SET status = 'running', completed_at = NULL, lease_token = gen_random_uuid(),"
                " lease_expires_at = now() - interval '1 s' WHERE id = %s",
                [job_id],
            )
        self.sweep()
        self.wait_for(job_id, "succeeded")

    def sweep(self) -> None:
        names = [f["FunctionName"] for f in self.client("lambda").list_functions()["Functions"]]
        (name,) = (name for name in names if "SweepFunction" in name)
        assert "FunctionError" not in self.client("lambda").invoke(FunctionName=name, Payload=b"{}")

    def send_nonsense(self) -> None:
        self.client("sqs").send_message(QueueUrl=self._system.endpoint["queue_url"], MessageBody=_SECRET_WORDS)

    def lines(self) -> tuple[dict[str, list[dict[str, Any]]], str]:
        logs = self.client("logs")
        raw: dict[str, list[str]] = {}
        for function in ("api", "search", "embed", "sweep"):
            pages = logs.get_paginator("filter_log_events").paginate(logGroupName=f"/opdex/{STACK}/{function}")
            raw[function] = [event["message"] for page in pages for event in page["events"]]
        parsed: dict[str, list[dict[str, Any]]] = {function: [] for function in raw}
        for function, messages in raw.items():
            for message in messages:
                with suppress(ValueError):
                    parsed[function].append(json.loads(message))
        return parsed, "\n".join(message for messages in raw.values() for message in messages)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    request_id = "a-request-of-the-tests"
    with OllamaServer(seconds_per_text=0.05, calls_at_once=1) as server:
        options = (
            "--embedding-provider=ollama",
            f"--embedding-url={server.url}",
            "--embed-timeout-seconds=2",
            "--function-variable=EMBEDDING_CHUNK_SECONDS=0.3",
        )
        with started_system(tmp_path_factory.mktemp("seen"), *options) as system:
            run = Run(system, server)
            job_id = run.over_two_slices(request_id)
            run.upload("followed", 40, expected=200)  # all reused
            run.search()
            run.fail_in_every_way()
            run.cancel()
            run.lose_a_worker()
            run.send_nonsense()

            def all_is_told() -> bool:
                lines = run.lines()[0]["embed"]
                return all(any(name in line for line in lines) for name in ("WakeUpsFailed", "LeasesLost"))

            _wait(all_is_told, "the last lines are missing")
            lines, raw = run.lines()
            yield Seen(
                lines, raw, request_id, job_id, str(system.endpoint["api_key"]), str(system.endpoint["database_url"])
            )


def _with(lines: list[dict[str, Any]], **wanted: object) -> list[dict[str, Any]]:
    return [line for line in lines if all(line.get(name) == value for name, value in wanted.items())]


@pytest.mark.parametrize(
    ("kind", "unit"),
    [
        (observability.Count, "Count"),
        (observability.Duration, "Seconds"),
        (observability.Latency, "Milliseconds"),
    ],
)
def test_every_metric_is_emitted_when_everything_has_happened(seen: Seen, kind: Any, unit: str) -> None:
    found = seen.metrics()
    names = set(get_args(kind.__value__))
    assert names - found.keys() == set()
    assert {name: (found[name]["unit"], found[name]["dimensions"]) for name in names} == dict.fromkeys(
        names, (unit, {("service",)})
    )


def test_metrics_say_what_happened_when_their_sums_are_taken(seen: Seen) -> None:
    sums = {name: metric["sum"] for name, metric in seen.metrics().items()}
    assert sums["JobsSucceeded"] == 4
    assert (sums["JobsFailed"], sums["JobsParked"]) == (1, 1)
    assert sums["JobsCancelled"] == 1
    assert (sums["ProviderThrottles"], sums["SlicesHeldUp"], sums["AttemptsFailed"]) == (1, 1, 1)
    assert min(sums["LeasesLost"], sums["LeasesExpired"]) >= 1  # more, where this machine stood still for a lease
    assert sums["TextsWasted"] > 0  # what was under way when the job was cancelled
    assert sums["TextsReused"] >= 40
    assert 0 < sums["ProviderSeconds"] < sums["BilledSeconds"]


def test_requests_are_counted_by_route_and_status_when_they_are_answered(seen: Seen) -> None:
    found = seen.metrics()
    for name in ("Requests", "RequestLatency"):
        assert found[name]["dimensions"] == {("service",), ("route", "service", "status")}
    routes = {
        (line["route"], line["status"])
        for function in ("api", "search")
        for line in seen.lines[function]
        if "Requests" in line
    }
    assert {("specs", "2xx"), ("search", "2xx"), ("embedding", "2xx")} <= routes


def test_cold_starts_are_counted_when_functions_start(seen: Seen) -> None:
    started = {line["function_name"] for lines in seen.lines.values() for line in lines if "ColdStart" in line}
    assert {name.split("-")[1] for name in started} >= {"ApiFunction", "EmbedFunction", "SweepFunction"}


def test_one_id_leads_from_the_request_to_the_publication(seen: Seen) -> None:
    ours = {function: _with(lines, correlation_id=seen.request_id) for function, lines in seen.lines.items()}
    assert _with(ours["api"], message="request", status=201)
    assert _with(ours["api"], message="jobs are open", job_ids=[seen.job_id])
    assert _with(ours["embed"], message="woken", named_job_id=seen.job_id, kind="ready")
    slices = {line["slice"] for line in _with(ours["embed"], message="slice begins", job_id=seen.job_id)}
    assert slices == set(range(1, max(slices) + 1))
    assert len(slices) > 1
    assert sum(line["texts"] for line in _with(ours["embed"], message="chunk written", job_id=seen.job_id)) == 40
    ends = _with(ours["embed"], message="slice ended", job_id=seen.job_id)
    assert [line["outcome"] for line in sorted(ends, key=lambda line: line["slice"])][-1] == "published"
    assert len({line["function_request_id"] for line in ends}) > 1


def test_no_line_of_a_job_is_without_its_id_when_it_came_by_a_request(seen: Seen) -> None:
    of_jobs = [line for line in seen.lines["embed"] if "job_id" in line]
    assert of_jobs
    assert [line for line in of_jobs if not line.get("correlation_id")] == []
    assert {line["correlation_id"] for line in _with(of_jobs, job_id=seen.job_id)} == {seen.request_id}


def test_provider_failures_are_told_under_the_jobs_id(seen: Seen) -> None:
    failed = _with(seen.lines["embed"], message="provider call failed")
    assert {line["error_code"] for line in failed} >= {"provider_throttled", "provider_failed", "provider_refused"}
    assert all(line["correlation_id"] and line["job_id"] for line in failed)


def test_sweep_goes_by_an_id_of_its_own(seen: Seen) -> None:
    ids = [line["correlation_id"] for line in _with(seen.lines["sweep"], message="swept")]
    assert ids
    assert len(ids) == len(set(ids))
    assert all(correlation_id.startswith("sweep-") for correlation_id in ids)


def test_logs_hold_no_secret_and_no_text_when_all_has_been_told(seen: Seen) -> None:
    for unsaid in (seen.api_key, seen.database_url, _SECRET_WORDS, "Read followed number"):
        assert unsaid not in seen.raw


def test_one_trace_joins_the_request_with_its_message_when_tracing_is_on(seen: Seen) -> None:
    (request,) = _with(seen.lines["api"], message="request", correlation_id=seen.request_id)
    sent_in = {line.get("sent_in_trace") for line in _with(seen.lines["embed"], message="woken", kind="ready")}
    assert any(str(trace).startswith(f"Root={request['xray_trace_id']};") for trace in sent_in)
