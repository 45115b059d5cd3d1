"""``python -m deploy.protection ENVIRONMENT``: after a deploy, has CloudFormation keep the stack and its own database.

RDS refuses too late by itself: all else of a stack is deleted before, and a replaced database is left beside the new.
"""

import sys
from typing import Any

from deploy.environment import CONFIGURATION, configured
from deploy.errors import told_in_a_line
from deploy.stack import deployed, parameters
from local.build import PROJECT

# Stack policies; docs/operations.md names them, too.
STAYS, MAY_GO = (PROJECT / "deploy" / name for name in ("database_stays.json", "database_may_go.json"))


def protect(stack: str, cloudformation: Any) -> bool | None:
    """Protect a stack as its DeletionProtection says; return that, or None where it has no database of its own."""
    found = deployed(cloudformation, stack)
    if found is None:
        return None
    chosen = parameters(found)
    if chosen.get("CreateDatabase") != "true":
        return None
    is_protected = chosen["DeletionProtection"] == "true"
    policy = (STAYS if is_protected else MAY_GO).read_text("utf-8")
    cloudformation.set_stack_policy(StackName=stack, StackPolicyBody=policy)
    cloudformation.update_termination_protection(StackName=stack, EnableTerminationProtection=is_protected)
    return is_protected


def main(name: str) -> None:
    """Protect the stack of an environment, and tell. Raises DeployError."""
    import boto3

    environment = configured(CONFIGURATION, name)
    cloudformation = boto3.Session(region_name=environment.region).client("cloudformation")
    is_protected = protect(environment.stack, cloudformation)
    if is_protected is not None:
        print(f"{environment.stack} and its database are {'' if is_protected else 'not '}protected from deletion.")


if __name__ == "__main__":
    told_in_a_line(lambda: main(*sys.argv[1:]))
