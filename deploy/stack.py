"""A stack, as CloudFormation has it."""

from collections.abc import Mapping
from typing import Any


def described(cloudformation: Any, stack: str) -> dict[str, Any] | None:
    """Return what CloudFormation says of a stack; None where there is none."""
    from botocore.exceptions import ClientError

    try:
        (found,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    return dict(found)


def deployed(cloudformation: Any, stack: str) -> dict[str, Any] | None:
    """Return what CloudFormation says of a stack; None where there is none, or but a plan that nobody confirmed."""
    found = described(cloudformation, stack)
    return None if found is None or found["StackStatus"] == "REVIEW_IN_PROGRESS" else found


def parameters(found: Mapping[str, Any]) -> dict[str, str]:
    """Return the parameters of a stack, as it is described."""
    return {told["ParameterKey"]: told["ParameterValue"] for told in found.get("Parameters", [])}


def resources(cloudformation: Any, stack: str, kind: str) -> list[str]:
    """Return the physical ids of a stack's resources of a type; those of a failed creation are among them."""
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
    return [
        resource["PhysicalResourceId"]
        for page in pages
        for resource in page["StackResourceSummaries"]
        if resource["ResourceType"] == kind
        and resource["ResourceStatus"] != "DELETE_COMPLETE"
        and resource.get("PhysicalResourceId")
    ]
