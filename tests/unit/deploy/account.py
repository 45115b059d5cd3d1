"""An AWS account with one stack at most, as CloudFormation and Lambda tell of it."""

from typing import Any

from botocore.exceptions import ClientError

STACK_ID = "arn:aws:cloudformation:eu-central-1:123456789012:stack/opdex/6f1b2c30"


class CloudFormation:
    """Knows one stack, or none; ``resources`` are physical ids by type."""

    def __init__(
        self,
        status: str | None = None,
        parameters: dict[str, str] | None = None,
        resources: dict[str, tuple[str, ...]] | None = None,
    ) -> None:
        self.status = status
        self._parameters = parameters or {}
        self._resources = resources or {}
        self.gone: set[str] = set()
        self.is_protected = False
        self.policy = ""

    def describe_stacks(self, *, StackName: str) -> dict[str, Any]:  # noqa: N803
        if self.status is None:
            message = f"Stack with id {StackName} does not exist"
            raise ClientError({"Error": {"Code": "ValidationError", "Message": message}}, "DescribeStacks")
        told = [{"ParameterKey": name, "ParameterValue": value} for name, value in self._parameters.items()]
        stack = {"StackId": STACK_ID, "StackStatus": self.status, "Parameters": told}
        return {"Stacks": [stack | {"EnableTerminationProtection": self.is_protected}]}

    def set_stack_policy(self, *, StackName: str, StackPolicyBody: str) -> None:  # noqa: N803
        assert self.status is not None, StackName
        self.policy = StackPolicyBody

    def update_termination_protection(self, *, StackName: str, EnableTerminationProtection: bool) -> None:  # noqa: N803
        assert self.status is not None, StackName
        self.is_protected = EnableTerminationProtection

    def get_paginator(self, operation: str) -> Any:
        assert operation == "list_stack_resources"
        return self

    def paginate(self, *, StackName: str) -> list[dict[str, Any]]:  # noqa: N803
        assert self.status is not None, StackName
        never_made = {"ResourceType": "AWS::RDS::DBCluster", "ResourceStatus": "CREATE_FAILED"}
        made = [self._told(kind, name) for kind, names in self._resources.items() for name in names]
        return [{"StackResourceSummaries": [resource]} for resource in (never_made, *made)]

    def _told(self, kind: str, name: str) -> dict[str, str]:
        status = "DELETE_COMPLETE" if name in self.gone else "CREATE_COMPLETE"
        return {"ResourceType": kind, "ResourceStatus": status, "PhysicalResourceId": name}


class Lambda:
    """Has a quota, and what functions reserve of it."""

    def __init__(self, quota: int, unreserved: int, reserved: dict[str, int] | None = None) -> None:
        self._limits = {"ConcurrentExecutions": quota, "UnreservedConcurrentExecutions": unreserved}
        self._reserved = reserved or {}

    def get_account_settings(self) -> dict[str, Any]:
        return {"AccountLimit": self._limits}

    def get_function_concurrency(self, *, FunctionName: str) -> dict[str, int]:  # noqa: N803
        reserved = self._reserved.get(FunctionName)
        return {} if reserved is None else {"ReservedConcurrentExecutions": reserved}
