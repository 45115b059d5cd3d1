"""Whether an account has what a deploy would reserve."""

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from deploy.concurrency import CONFIGURATION, configured, deployed, require_concurrency
from deploy.errors import DeployError

VALUES = {"ReserveWorkers": "true", "Workers": "3", "ApiConcurrency": "30", "SearchConcurrency": "20"}


class Lambda:
    def __init__(self, quota: int, unreserved: int, reserved: dict[str, int] | None = None) -> None:
        self._limits = {"ConcurrentExecutions": quota, "UnreservedConcurrentExecutions": unreserved}
        self._reserved = reserved or {}

    def get_account_settings(self) -> dict[str, Any]:
        return {"AccountLimit": self._limits}

    def get_function_concurrency(self, *, FunctionName: str) -> dict[str, int]:  # noqa: N803
        reserved = self._reserved.get(FunctionName)
        return {} if reserved is None else {"ReservedConcurrentExecutions": reserved}


class CloudFormation:
    def __init__(self, stack: dict[str, Any] | None, functions: tuple[str, ...] = ()) -> None:
        self._stack = stack
        self._functions = functions

    def describe_stacks(self, *, StackName: str) -> dict[str, Any]:  # noqa: N803
        if self._stack is None:
            message = f"Stack with id {StackName} does not exist"
            raise ClientError({"Error": {"Code": "ValidationError", "Message": message}}, "DescribeStacks")
        return {"Stacks": [self._stack]}

    def get_paginator(self, operation: str) -> Any:
        assert operation == "list_stack_resources"
        return self

    def paginate(self, *, StackName: str) -> list[dict[str, Any]]:  # noqa: N803
        assert StackName
        kinds = [("AWS::Lambda::Function", name) for name in self._functions] + [("AWS::SQS::Queue", "queue")]
        return [
            {"StackResourceSummaries": [{"ResourceType": kind, "PhysicalResourceId": name}]} for kind, name in kinds
        ]


@pytest.mark.parametrize(("quota", "unreserved"), [(10, 10), (100, 100), (1000, 152)])
def test_deploy_is_refused_in_plain_words_when_the_account_has_too_little(quota: int, unreserved: int) -> None:
    with pytest.raises(DeployError, match=rf"reserves a concurrency of 53.* of the account's {quota} .*ReserveWorkers"):
        require_concurrency(VALUES, Lambda(quota, unreserved), held=0)


def test_deploy_goes_on_when_the_account_has_just_enough() -> None:
    require_concurrency(VALUES, Lambda(1000, 153), held=0)


def test_deploy_goes_on_when_the_stack_itself_holds_what_it_needs() -> None:
    require_concurrency(VALUES, Lambda(1000, 102), held=51)


def test_deploy_goes_on_when_nothing_is_reserved() -> None:
    require_concurrency({**VALUES, "ReserveWorkers": "false"}, Lambda(10, 10), held=0)


def test_nothing_is_held_when_the_stack_is_not_there_yet() -> None:
    assert deployed(CloudFormation(None), Lambda(10, 10), "opdex") == ({}, 0)


def test_stack_holds_what_its_functions_reserve_when_it_is_there() -> None:
    stack = {"Parameters": [{"ParameterKey": "Workers", "ParameterValue": "2"}]}
    functions = Lambda(1000, 948, {"api": 50, "embed": 2})
    assert deployed(CloudFormation(stack, ("api", "embed", "sweep")), functions, "opdex") == ({"Workers": "2"}, 52)


@pytest.mark.parametrize("overrides", ['"Workers=3 LogLevel=DEBUG"', '["Workers=3", "LogLevel=DEBUG"]'])
def test_parameters_are_read_when_samconfig_has_them_in_either_form(tmp_path: Path, overrides: str) -> None:
    path = tmp_path / "samconfig.toml"
    path.write_text(
        '[test.global.parameters]\nstack_name = "opdex-test"\n'
        f"[test.deploy.parameters]\nparameter_overrides = {overrides}"
    )
    assert configured(path, "test") == ("opdex-test", {"Workers": "3", "LogLevel": "DEBUG"})


@pytest.mark.parametrize(("environment", "stack"), [("default", "opdex"), ("production", "opdex-production")])
def test_environment_is_known_when_the_projects_samconfig_has_it(environment: str, stack: str) -> None:
    assert configured(CONFIGURATION, environment)[0] == stack


def test_environment_is_refused_when_samconfig_has_it_not() -> None:
    with pytest.raises(DeployError, match=r"no \[moon\] in samconfig.toml"):
        configured(CONFIGURATION, "moon")
