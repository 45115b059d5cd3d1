"""What the template promises about workers, limits and sizes; the parts that one wrong number would break silently."""

from typing import Any

import pytest

from local.build import TEMPLATE
from local.template import read_template
from opdex.embedding.minilm import MODEL

template = read_template(TEMPLATE)
resources = template["Resources"]
functions = {name: r["Properties"] for name, r in resources.items() if r["Type"] == "AWS::Serverless::Function"}
embed = functions["EmbedFunction"]


def _longest_timeout(function: dict[str, Any]) -> int:
    timeout = function["Timeout"]
    return int(template["Parameters"][timeout["Ref"]]["MaxValue"]) if isinstance(timeout, dict) else int(timeout)


def _holds(condition: dict[str, Any], workers: int) -> bool:
    match condition:
        case {"Fn::Or": list(parts)}:
            return any(_holds(part, workers) for part in parts)
        case {"Fn::Equals": [{"Ref": "Workers"}, value]}:
            return str(value) == str(workers)
    raise AssertionError(condition)


def test_workers_is_one_when_nothing_is_said() -> None:
    assert template["Parameters"]["Workers"]["Default"] == 1


def test_workers_is_the_reserved_concurrency_when_deployed() -> None:
    assert embed["ReservedConcurrentExecutions"] == {"Ref": "Workers"}


def test_workers_is_told_to_the_functions_when_they_report_it() -> None:
    assert functions["ApiFunction"]["Environment"]["Variables"]["WORKERS"] == {"Ref": "Workers"}


@pytest.mark.parametrize("workers", [0, 1, 2, 3, 40])
def test_event_source_concurrency_is_the_larger_of_two_and_workers_when_deployed(workers: int) -> None:
    condition, when_true, when_false = embed["Events"]["WakeUp"]["Properties"]["ScalingConfig"]["MaximumConcurrency"][
        "Fn::If"
    ]
    chosen = when_true if _holds(template["Conditions"][condition], workers) else when_false
    assert (workers if chosen == {"Ref": "Workers"} else chosen) == max(2, workers)


def test_event_source_answers_for_each_message_when_one_comes_at_a_time() -> None:
    source = embed["Events"]["WakeUp"]["Properties"]
    assert (source["BatchSize"], source["FunctionResponseTypes"]) == (1, ["ReportBatchItemFailures"])


def test_recursive_loop_is_allowed_when_it_is_the_embed_function_alone() -> None:
    assert [name for name, properties in functions.items() if "RecursiveLoop" in properties] == ["EmbedFunction"]


def test_visibility_is_six_timeouts_when_the_timeout_is_the_longest() -> None:
    queue = resources["EmbedQueue"]["Properties"]
    assert queue["VisibilityTimeout"] >= 6 * _longest_timeout(embed)
    assert queue["RedrivePolicy"]["maxReceiveCount"] == 100


def test_api_ends_before_the_gateway_gives_up() -> None:
    assert _longest_timeout(functions["ApiFunction"]) <= 29


def test_sweep_ends_before_the_next_one_begins() -> None:
    assert _longest_timeout(functions["SweepFunction"]) <= 60 * template["Parameters"]["SweepMinutes"]["MinValue"]


@pytest.mark.parametrize("name", sorted(functions.keys() - {"MigrateFunction"}))
def test_function_is_deployed_after_the_migrations_when_it_needs_the_schema(name: str) -> None:
    assert resources[name]["DependsOn"] == "Migrations"


@pytest.mark.parametrize("name", sorted(functions))
def test_function_may_only_do_named_things_when_it_has_a_policy(name: str) -> None:
    for policy in functions[name]["Policies"]:
        for statement in policy["Statement"]:
            assert "*" not in str(statement["Action"])
            assert statement["Resource"] != "*"


@pytest.mark.parametrize("name", ["EmbedQueue", "EmbedDeadLetterQueue"])
def test_queue_is_encrypted_when_deployed(name: str) -> None:
    assert resources[name]["Properties"]["SqsManagedSseEnabled"] is True


@pytest.mark.parametrize("name", sorted(template["Parameters"]))
def test_parameter_says_what_it_is_when_asked_for(name: str) -> None:
    about = template["Parameters"][name]
    assert about["Description"]
    assert name == "DatabaseSecretArn" or "Default" in about


def test_metrics_have_a_namespace_of_their_own_when_a_stack_is_deployed() -> None:
    variables = template["Globals"]["Function"]["Environment"]["Variables"]
    assert variables["POWERTOOLS_METRICS_NAMESPACE"] == {"Ref": "AWS::StackName"}


def test_functions_are_in_a_vpc_when_subnets_are_given_and_only_then() -> None:
    condition, inside, outside = template["Globals"]["Function"]["VpcConfig"]["Fn::If"]
    assert template["Conditions"][condition] == {
        "Fn::Not": [{"Fn::Equals": [{"Fn::Join": ["", {"Ref": "VpcSubnetIds"}]}, ""]}]
    }
    assert inside == {"SubnetIds": {"Ref": "VpcSubnetIds"}, "SecurityGroupIds": {"Ref": "VpcSecurityGroupIds"}}
    assert outside == {"Ref": "AWS::NoValue"}


def test_rule_names_the_embedded_model_when_another_is_refused() -> None:
    (assertion,) = template["Rules"]["MinilmHasOneModel"]["Assertions"]
    assert assertion["Assert"]["Fn::Contains"][0] == ["", MODEL]
