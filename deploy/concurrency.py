"""``python -m deploy.concurrency ENVIRONMENT``: asks whether Lambda can reserve what a deploy would, before it does."""

import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.errors import DeployError, told_in_a_line
from local.build import PROJECT, TEMPLATE
from local.template import read_template

CONFIGURATION = PROJECT / "samconfig.toml"
# What Lambda never lets functions reserve.
KEPT_UNRESERVED = 100


def require_concurrency(values: Mapping[str, str], lambda_client: Any, held: int) -> None:
    """Return if the account has the concurrency that parameters ask for. Raises DeployError.

    ``held`` is what the stack reserves already.
    """
    if values["ReserveWorkers"] != "true":
        return
    needed = sum(int(values[name]) for name in ("Workers", "ApiConcurrency", "SearchConcurrency"))
    limits = lambda_client.get_account_settings()["AccountLimit"]
    free = max(0, limits["UnreservedConcurrentExecutions"] + held - KEPT_UNRESERVED)
    if needed > free:
        raise DeployError(
            f"Lambda would refuse this deploy: it reserves a concurrency of {needed}, and {free} can be reserved here,"
            f" since {KEPT_UNRESERVED} of the account's {limits['ConcurrentExecutions']} must stay free. Raise the"
            ' quota "Concurrent executions" (Service Quotas, AWS Lambda), or deploy with ReserveWorkers=false.'
        )


def configured(path: Path, environment: str) -> tuple[str, dict[str, str]]:
    """Return the stack's name and the parameters that a table of samconfig.toml sets. Raises DeployError."""
    tables = tomllib.loads(path.read_text("utf-8")).get(environment)
    if tables is None:
        raise DeployError(f"There is no [{environment}] in {path.name}.")
    settings = {
        name: value
        for command in ("global", "deploy")
        for name, value in tables.get(command, {}).get("parameters", {}).items()
    }
    overrides = settings.get("parameter_overrides", "")
    pairs = overrides.split() if isinstance(overrides, str) else overrides
    assigned = (pair.partition("=") for pair in pairs)
    return settings["stack_name"], {name: value.strip('"') for name, _, value in assigned}


def deployed(cloudformation: Any, lambda_client: Any, stack: str) -> tuple[dict[str, str], int]:
    """Return a stack's present parameters, and the concurrency that its functions reserve; nothing of one not there."""
    from botocore.exceptions import ClientError

    try:
        (described,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            return {}, 0
        raise
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
    functions = [
        resource["PhysicalResourceId"]
        for page in pages
        for resource in page["StackResourceSummaries"]
        if resource["ResourceType"] == "AWS::Lambda::Function" and "PhysicalResourceId" in resource
    ]
    reserved = [lambda_client.get_function_concurrency(FunctionName=function) for function in functions]
    return (
        {parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in described.get("Parameters", [])},
        sum(answer.get("ReservedConcurrentExecutions", 0) for answer in reserved),
    )


def main(environment: str) -> None:
    """Ask for the parameters that a deploy of this environment would have. Raises DeployError."""
    import boto3

    stack, chosen = configured(CONFIGURATION, environment)
    cloudformation, lambda_client = boto3.client("cloudformation"), boto3.client("lambda")
    present, held = deployed(cloudformation, lambda_client, stack)
    parameters = read_template(TEMPLATE)["Parameters"]
    defaults = {name: str(about["Default"]) for name, about in parameters.items()}
    require_concurrency({**defaults, **present, **chosen}, lambda_client, held)


if __name__ == "__main__":
    told_in_a_line(lambda: main(*sys.argv[1:]))
