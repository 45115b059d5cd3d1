"""The whole system on LocalStack: the built template, a Postgres of its own, and an HTTP client for it."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from local.build import BUILT_TEMPLATE, building
from local.deployment import Deployment, artifacts_bucket, deploy, invoke
from local.postgres import EmbeddedPostgres
from local.system import LOCAL_VARIABLES
from tests.e2e.system import System
from tests.localstack.server import LocalStack


@contextmanager
def deployed_system(
    localstack: LocalStack, folder: Path, stack: str, parameters: Mapping[str, str], variables: Mapping[str, str]
) -> Iterator[System]:
    """Deploy a stack for the block. ``parameters`` are the template's, ``variables`` are those of each function."""
    with EmbeddedPostgres(folder / "postgres", durable=False) as postgres:
        with building(print) as wait_for_build:
            wait_for_build()
            # It takes the alarms that the other emulator refuses.
            deployment = deploy(localstack, BUILT_TEMPLATE, postgres.url(), {"ALARMS": "true", **parameters}, stack)
        try:
            _set_variables(localstack, stack, {**LOCAL_VARIABLES, **variables})
            invoke(localstack, deployment.outputs["MigrateFunctionName"], {})  # it runs no custom resources
            with (system := System(_endpoint(localstack, deployment, postgres))).http:
                yield system
        finally:
            _remove(localstack, stack)


def _set_variables(localstack: LocalStack, stack: str, variables: Mapping[str, str]) -> None:
    functions = localstack.client("lambda")
    for function in functions.list_functions()["Functions"]:
        if function["FunctionName"].startswith(f"{stack}-"):
            functions.update_function_configuration(
                FunctionName=function["FunctionName"],
                Environment={"Variables": {**function["Environment"]["Variables"], **variables}},
            )
            functions.get_waiter("function_updated").wait(FunctionName=function["FunctionName"])


def _endpoint(localstack: LocalStack, deployment: Deployment, postgres: EmbeddedPostgres) -> dict[str, object]:
    secret = localstack.client("secretsmanager").get_secret_value(SecretId=deployment.outputs["AdminKeySecretArn"])
    return {
        "url": deployment.url,
        "api_key": secret["SecretString"],
        "database_url": postgres.url(),
        "queue_url": deployment.outputs["EmbedQueueUrl"],
        "aws_endpoint_url": localstack.url,
        "pid": os.getpid(),
    }


def _remove(localstack: LocalStack, stack: str) -> None:
    cloudformation, s3 = localstack.client("cloudformation"), localstack.client("s3")
    cloudformation.delete_stack(StackName=stack)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})
    localstack.client("secretsmanager").delete_secret(SecretId=f"{stack}/database", ForceDeleteWithoutRecovery=True)
    bucket = artifacts_bucket(stack)
    for artifact in s3.list_objects_v2(Bucket=bucket)["Contents"]:
        s3.delete_object(Bucket=bucket, Key=artifact["Key"])
    s3.delete_bucket(Bucket=bucket)
