"""What arrives at the emulator when the template is deployed, where the emulator alone would lose it."""

from typing import Any, cast

import boto3
import httpx
import pytest

from local.deployment import STACK

on_localstack = pytest.mark.localstack


def _client(running_system: dict[str, Any], service: str) -> Any:
    session = boto3.session.Session("test", "test", region_name="us-east-1")
    return session.client(cast(Any, service), endpoint_url=running_system["aws_endpoint_url"])


@pytest.fixture
def functions(running_system: dict[str, Any]) -> Any:
    return _client(running_system, "lambda")


def _names(functions: Any) -> dict[str, str]:
    """Return each function's name by its logical id."""
    return {function["FunctionName"].split("-")[1]: function["FunctionName"] for function in _ours(functions)}


def _ours(functions: Any) -> list[dict[str, Any]]:
    return [f for f in functions.list_functions()["Functions"] if f["FunctionName"].startswith(f"{STACK}-")]


@on_localstack
def test_one_worker_is_reserved_when_nothing_is_said(functions: Any) -> None:
    reserved = functions.get_function_concurrency(FunctionName=_names(functions)["EmbedFunction"])
    assert reserved["ReservedConcurrentExecutions"] == 1


@on_localstack
def test_only_the_embed_function_may_wake_itself_when_deployed(functions: Any) -> None:
    allowed = {
        logical_id: functions.get_function_recursion_config(FunctionName=name)["RecursiveLoop"]
        for logical_id, name in _names(functions).items()
    }
    assert allowed == {
        "ApiFunction": "Terminate",
        "EmbedFunction": "Allow",
        "MigrateFunction": "Terminate",
        "SearchFunction": "Terminate",
        "SweepFunction": "Terminate",
    }


@on_localstack
def test_event_source_takes_two_at_once_when_there_is_one_worker(functions: Any) -> None:
    (source,) = functions.list_event_source_mappings(FunctionName=_names(functions)["EmbedFunction"])[
        "EventSourceMappings"
    ]
    assert source["ScalingConfig"] == {"MaximumConcurrency": 2}
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


@on_localstack
def test_queues_refuse_what_comes_without_tls_when_deployed(running_system: dict[str, Any]) -> None:
    sqs = _client(running_system, "sqs")
    for url in sqs.list_queues(QueueNamePrefix=f"{STACK}-")["QueueUrls"]:
        policy = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]["Policy"]
        assert '"aws:SecureTransport"' in policy


def test_api_is_throttled_when_deployed(running_system: dict[str, Any]) -> None:
    gateway = _client(running_system, "apigateway")
    (api,) = gateway.get_rest_apis()["items"]
    (stage,) = gateway.get_stages(restApiId=api["id"])["item"]
    settings = stage["methodSettings"]["*/*"]
    assert (settings["throttlingRateLimit"], settings["throttlingBurstLimit"]) == (100.0, 200)
    assert settings["dataTraceEnabled"] is False


def test_logs_are_kept_for_a_month_when_nothing_is_said(running_system: dict[str, Any]) -> None:
    groups = _client(running_system, "logs").describe_log_groups(logGroupNamePrefix="/opdex/")["logGroups"]
    assert {group["logGroupName"]: group["retentionInDays"] for group in groups} == {
        f"/opdex/opdex/{function}": 30 for function in ("api", "embed", "migrate", "search", "sweep")
    }


@on_localstack
def test_metrics_go_to_the_stacks_namespace_when_deployed(functions: Any) -> None:
    environments = [f["Environment"]["Variables"] for f in _ours(functions)]
    assert {variables["POWERTOOLS_METRICS_NAMESPACE"] for variables in environments} == {"opdex"}


@on_localstack
def test_functions_are_in_no_vpc_when_no_subnets_are_given(functions: Any) -> None:
    assert not any(f.get("VpcConfig", {}).get("SubnetIds") for f in _ours(functions))


@pytest.mark.parametrize("foreign", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}])
@pytest.mark.parametrize("path", ["/2015-03-31/functions", "/_ministack/health"])
def test_emulator_refuses_when_a_page_of_another_site_asks(
    running_system: dict[str, Any], path: str, foreign: dict[str, str]
) -> None:
    address = running_system["aws_endpoint_url"] + path
    assert httpx.get(address).status_code == 200
    refused = httpx.get(address, headers=foreign)
    assert (refused.status_code, "access-control-allow-origin" in refused.headers) == (403, False)
