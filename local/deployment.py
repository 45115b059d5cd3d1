"""Deploys the built template to an emulator, as CloudFormation would to AWS."""

import io
import json
import re
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, Protocol

from local.errors import LocalRunError
from local.template import parameter_values, read_template, resolved

STACK = "opdex"
_DEPLOY_SECONDS = 120.0
# What the emulator's CloudFormation refuses: alarms on an expression.
_LEFT_OUT = {"ALARMS": "false"}


class Emulator(Protocol):
    """What emulates AWS; ``log`` says where it tells what it does."""

    @property
    def url(self) -> str: ...

    @property
    def log(self) -> object: ...

    def client(self, service: str) -> Any:
        """Return a boto3 client of one of its services."""


@dataclass(frozen=True)
class Deployment:
    """A deployed stack: its outputs, and where its API answers."""

    outputs: Mapping[str, str]
    url: str


def deploy(
    emulator: Emulator, template_path: Path, database_url: str, given: Mapping[str, str], stack: str = STACK
) -> Deployment:
    """Create a stack in an emulator that has none of the name yet; ``given`` are parameters by variable name.

    Raises LocalRunError.
    """

    def create() -> Deployment:
        secret = emulator.client("secretsmanager").create_secret(Name=f"{stack}/database", SecretString=database_url)
        return _deploy(emulator, template_path, {**given, "DATABASE_SECRET_ARN": secret["ARN"]}, stack, "create")

    return _told(emulator, create)


def upgrade(emulator: Emulator, template_path: Path, given: Mapping[str, str]) -> Deployment:
    """Bring the stack that an emulator has to this template, in place, as a deploy to AWS does; its database stays.

    Raises LocalRunError.
    """
    (stack,) = emulator.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
    kept = {parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in stack["Parameters"]}
    given = {**given, "DATABASE_SECRET_ARN": kept["DatabaseSecretArn"]}
    return _told(emulator, lambda: _deploy(emulator, template_path, given, STACK, "update"))


def artifacts_bucket(stack: str) -> str:
    """Return the name of the bucket that a stack is deployed from."""
    return f"{stack}-artifacts"


def _told(emulator: Emulator, act: Callable[[], Deployment]) -> Deployment:
    from botocore.exceptions import BotoCoreError, ClientError  # slow to import, see Emulator.client

    try:
        return act()
    except (BotoCoreError, ClientError) as error:
        raise LocalRunError(f"The deploy failed: {error} See {emulator.log}.") from None


def _deploy(
    emulator: Emulator, template_path: Path, given: Mapping[str, str], stack: str, change: Literal["create", "update"]
) -> Deployment:
    template = read_template(template_path)
    values = parameter_values(template, {**_LEFT_OUT, **given})
    _upload_artifacts(emulator, template, template_path.parent, artifacts_bucket(stack))
    outputs = _change_stack(emulator, template, values, stack, change)
    _mend_what_the_emulator_gets_wrong(emulator, template, values, stack)
    return Deployment(outputs, f"{emulator.url}/_aws/execute-api/{outputs['ApiId']}/v1")


def invoke(emulator: Emulator, function: str, event: Mapping[str, Any]) -> Any:
    """Invoke a function, and return its answer. Raises LocalRunError with the function's own message."""
    answer = emulator.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event).encode())
    payload = json.loads(answer["Payload"].read() or b"null")
    if "FunctionError" in answer:
        raise LocalRunError(f"{function} failed: {payload.get('errorMessage', payload)}")
    return payload


def start(emulator: Emulator, function: str) -> None:
    """Have a function invoked without an event, and do not wait for it."""
    emulator.client("lambda").invoke(FunctionName=function, InvocationType="Event", Payload=b"{}")


def _upload_artifacts(emulator: Emulator, template: dict[str, Any], folder: Path, bucket: str) -> None:
    s3 = emulator.client("s3")
    s3.create_bucket(Bucket=bucket)
    for name, resource in template["Resources"].items():
        for field in {"CodeUri", "ContentUri"} & resource.get("Properties", {}).keys():
            body = _zipped(folder / resource["Properties"][field])
            key = f"{name}-{sha256(body).hexdigest()}.zip"  # what has changed is told by its name alone
            s3.put_object(Bucket=bucket, Key=key, Body=body)
            resource["Properties"][field] = f"s3://{bucket}/{key}"


def _zipped(folder: Path) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as zipped:  # it only moves from disk to disk
        for parent, _, files in folder.walk():
            for name in files:
                zipped.write(parent / name, (parent / name).relative_to(folder))
    return archive.getvalue()


def _change_stack(
    emulator: Emulator,
    template: dict[str, Any],
    values: Mapping[str, str],
    name: str,
    change: Literal["create", "update"],
) -> dict[str, str]:
    cloudformation, bucket = emulator.client("cloudformation"), artifacts_bucket(name)
    # A template of this size is taken from S3 alone.
    emulator.client("s3").put_object(Bucket=bucket, Key="template.json", Body=json.dumps(template).encode())
    begin = cloudformation.create_stack if change == "create" else cloudformation.update_stack
    begin(
        StackName=name,
        TemplateURL=f"{emulator.url}/{bucket}/template.json",
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        # Where the API is replaced, as a changed one is by the emulator, the old one still has the id.
        Tags=[{"Key": "ms-custom-id", "Value": name}] if change == "create" else [],
    )
    deadline = time.monotonic() + _DEPLOY_SECONDS
    done = f"{change.upper()}_COMPLETE"
    while (stack := cloudformation.describe_stacks(StackName=name)["Stacks"][0])["StackStatus"] != done:
        if time.monotonic() > deadline or not stack["StackStatus"].endswith("_IN_PROGRESS"):
            raise LocalRunError(f"The deploy failed: {_why_it_failed(cloudformation, name)}")
        time.sleep(0.05)
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def _why_it_failed(cloudformation: Any, stack: str) -> str:
    events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
    reasons = [
        f"{event['LogicalResourceId']}: {event['ResourceStatusReason']}"
        for event in events
        if event["ResourceStatus"].endswith("_FAILED") and event.get("ResourceStatusReason")
    ]
    return re.sub(r"\s+", " ", (reasons or ["it took too long"])[-1])


def _mend_what_the_emulator_gets_wrong(
    emulator: Emulator, template: dict[str, Any], values: Mapping[str, str], stack: str
) -> None:
    # Its CloudFormation drops two properties of a function, though its Lambda knows both, and leaves a number text.
    cloudformation, functions = emulator.client("cloudformation"), emulator.client("lambda")
    for name, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        dropped = {"ReservedConcurrentExecutions", "RecursiveLoop"} & properties.keys()
        if resource["Type"] != "AWS::Serverless::Function" or not dropped:
            continue
        deployed = cloudformation.describe_stack_resource(StackName=stack, LogicalResourceId=name)
        function = deployed["StackResourceDetail"]["PhysicalResourceId"]
        reserved = resolved(properties.get("ReservedConcurrentExecutions"), template, values)
        if reserved is not None:
            functions.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=int(reserved))
        if "RecursiveLoop" in dropped:
            functions.put_function_recursion_config(FunctionName=function, RecursiveLoop=properties["RecursiveLoop"])
        for source in functions.list_event_source_mappings(FunctionName=function)["EventSourceMappings"]:
            limit = int(source["ScalingConfig"]["MaximumConcurrency"])
            functions.update_event_source_mapping(UUID=source["UUID"], ScalingConfig={"MaximumConcurrency": limit})
