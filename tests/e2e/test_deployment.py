"""What arrives at the emulator when the template is deployed, where the emulator alone would lose it."""

from typing import Any

import boto3
import pytest


@pytest.fixture
def functions(running_system: dict[str, Any]) -> Any:
    session = boto3.session.Session("test", "test", region_name="us-east-1")
    return session.client("lambda", endpoint_url=running_system["aws_endpoint_url"])


def _names(functions: Any) -> dict[str, str]:
    """Return each function's name by its logical id."""
    return {f["FunctionName"].split("-")[1]: f["FunctionName"] for f in functions.list_functions()["Functions"]}


def test_one_worker_is_reserved_when_nothing_is_said(functions: Any) -> None:
    reserved = functions.get_function_concurrency(FunctionName=_names(functions)["EmbedFunction"])
    assert reserved["ReservedConcurrentExecutions"] == 1


def test_only_the_embed_function_may_wake_itself_when_deployed(functions: Any) -> None:
    allowed = {
        logical_id: functions.get_function_recursion_config(FunctionName=name)["RecursiveLoop"]
        for logical_id, name in _names(functions).items()
    }
    assert allowed == {
        "ApiFunction": "Terminate",
        "EmbedFunction": "Allow",
        "MigrateFunction": "Terminate",
        "SweepFunction": "Terminate",
    }


def test_event_source_takes_two_at_once_when_there_is_one_worker(functions: Any) -> None:
    (source,) = functions.list_event_source_mappings()["EventSourceMappings"]
    assert source["ScalingConfig"] == {"MaximumConcurrency": 2}
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
