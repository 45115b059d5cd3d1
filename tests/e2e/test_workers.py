"""The worker count, followed from the command's option to jobs that run at once."""

from pathlib import Path
from typing import Any, cast

import boto3
import psycopg
import pytest

from tests.e2e.system import System, document, started_system
from tests.ollama_server import OllamaServer

_SPECS = 3


def _client(system: System, service: str) -> Any:
    session = boto3.session.Session("test", "test", region_name="us-east-1")
    return session.client(cast(Any, service), endpoint_url=system.endpoint["aws_endpoint_url"])


def _reserved_concurrency(system: System) -> dict[str, int]:
    client = _client(system, "lambda")
    names = [function["FunctionName"] for function in client.list_functions()["Functions"]]
    reserved = {name.split("-")[1]: client.get_function_concurrency(FunctionName=name) for name in names}
    return {
        name: answer["ReservedConcurrentExecutions"]
        for name, answer in reserved.items()
        if "ReservedConcurrentExecutions" in answer
    }


def _index_side_by_side(system: System) -> tuple[int, set[str]]:
    """Index three specs; return the most that were seen running at once, and all lease tokens seen."""
    system.create_catalog("side")
    for number in range(_SPECS):
        system.upload("side", f"spec{number}", document(f"kind{number}", 30))
    most, tokens = 0, set[str]()
    with psycopg.connect(system.endpoint["database_url"], autocommit=True) as connection:
        while True:
            held = connection.execute("SELECT lease_token::text FROM jobs WHERE status = 'running'").fetchall()
            most, tokens = max(most, len(held)), tokens | {token for (token,) in held}
            (open_jobs,) = connection.execute(
                "SELECT count(*) FROM jobs WHERE status IN ('pending', 'running')"
            ).fetchall()[0]
            if open_jobs == 0:
                break
        states = connection.execute("SELECT status, attempts FROM jobs").fetchall()
    assert states == [("succeeded", 1)] * _SPECS
    return most, tokens


@pytest.mark.parametrize(("options", "workers"), [(("--workers=3",), 3), ((), 1)])
def test_that_many_jobs_run_at_once_when_the_option_says_so(
    tmp_path: Path, options: tuple[str, ...], workers: int
) -> None:
    with OllamaServer(seconds_per_text=0.1) as server:
        provider = (
            "--embedding-provider=ollama",
            f"--embedding-url={server.url}",
            "--function-variable=EMBEDDING_CALLS_IN_FLIGHT=1",
        )
        with started_system(tmp_path, *options, *provider) as system:
            reserved = _reserved_concurrency(system)
            most, tokens = _index_side_by_side(system)
            shown = system.call("GET", "/embedding/status")
        at_once = max(call.at_once for call in server.calls)

    assert reserved == {"ApiFunction": 50, "SearchFunction": 20, "EmbedFunction": workers}
    assert shown["workers"] == workers
    assert most == at_once == workers
    assert len(tokens) == _SPECS


def test_wake_ups_wait_untouched_when_embedding_is_paused(tmp_path: Path) -> None:
    with started_system(tmp_path, "--workers=0") as system:
        system.create_catalog("paused")
        system.upload("paused", "waiting", document("kind", 3))
        shown = system.call("GET", "/embedding/status")
        (status,) = system.statuses("paused")
        (message,) = _client(system, "sqs").receive_message(
            QueueUrl=system.endpoint["queue_url"], AttributeNames=["ApproximateReceiveCount"], WaitTimeSeconds=5
        )["Messages"]

    assert (shown["workers"], shown["paused"]) == (0, True)
    assert status["job_status"] == "pending"
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
