"""``python -m deploy ENVIRONMENT``: deploys what is built; the first time SAM asks for the parameters."""

import os
import sys
from pathlib import Path
from typing import Any

from deploy.concurrency import require_concurrency, reserved
from deploy.environment import CONFIGURATION, Environment, configured
from deploy.errors import DeployError, told_in_a_line
from deploy.stack import deployed, parameters, resources
from local.build import TEMPLATE
from local.template import read_template

_SAM = Path(sys.executable).with_name("sam")
# One of these has to be said before there can be a stack.
_DATABASES = {"DatabaseSecretArn", "CreateDatabase"}
# CloudFormation updates no stack that never was whole.
_NEVER_WHOLE = {"CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"}


def options(environment: Environment, cloudformation: Any, lambda_client: Any) -> list[str]:
    """Return how SAM is to deploy an environment, after Lambda was asked whether it can. Raises DeployError."""
    stack = deployed(cloudformation, environment.stack)
    if stack is not None and stack["StackStatus"] in _NEVER_WHOLE:
        raise DeployError(
            f"{environment.stack} is {stack['StackStatus']}, and can only be deleted: make destroy"
            f" STACK={environment.stack}. Its events in CloudFormation say what went wrong."
        )
    present: dict[str, str] = {}
    held = 0
    if stack is not None:
        present = parameters(stack)
        held = reserved(lambda_client, resources(cloudformation, environment.stack, "AWS::Lambda::Function"))
    defaults = {name: str(about["Default"]) for name, about in read_template(TEMPLATE)["Parameters"].items()}
    is_asked = stack is None and not environment.parameters.keys() & _DATABASES
    try:
        require_concurrency({**defaults, **present, **environment.parameters}, lambda_client, held)
    except DeployError as error:
        if not is_asked:
            raise
        print(error, file=sys.stderr)  # what is answered to SAM may be something else
    return ["--config-env", environment.name, *(["--guided"] if is_asked else [])]


def main(name: str) -> None:
    """Become the deploy of an environment. Raises DeployError."""
    import boto3

    environment = configured(CONFIGURATION, name)
    session = boto3.Session(region_name=environment.region)
    chosen = options(environment, session.client("cloudformation"), session.client("lambda"))
    os.execv(_SAM, [str(_SAM), "deploy", *chosen])  # nosec B606  # noqa: S606


if __name__ == "__main__":
    told_in_a_line(lambda: main(*sys.argv[1:]))
