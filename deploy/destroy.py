"""``python -m deploy.destroy STACK``: deletes a stack, and says what is kept of its data."""

import sys
from typing import Any

from deploy.errors import DeployError, told_in_a_line
from deploy.stack import described, resources

# Lambda gives back the network interfaces of functions in a VPC after half an hour at times.
_ASK_SECONDS, _ASKS = 15, 240


def destroy(stack: str, cloudformation: Any, rds: Any) -> str | None:
    """Delete a stack, whatever protects it; return the name of its database's last snapshot. Raises DeployError."""
    from botocore.exceptions import WaiterError

    found = described(cloudformation, stack)
    if found is None:
        raise DeployError(f"There is no stack {stack} to delete.")
    # By its id, since its name finds nothing any more once it is gone.
    stack_id = found["StackId"]
    if found.get("EnableTerminationProtection"):
        cloudformation.update_termination_protection(StackName=stack_id, EnableTerminationProtection=False)
    # Not by an output: a stack whose creation failed has none.
    clusters = resources(cloudformation, stack_id, "AWS::RDS::DBCluster")
    for cluster in clusters:
        _unprotect(rds, cluster)
    cloudformation.delete_stack(StackName=stack_id)
    waiter = cloudformation.get_waiter("stack_delete_complete")
    try:
        waiter.wait(StackName=stack_id, WaiterConfig={"Delay": _ASK_SECONDS, "MaxAttempts": _ASKS})
    except WaiterError:
        raise DeployError(f"The stack is not deleted: {_reasons(cloudformation, stack_id)}") from None
    return _last_snapshot(rds, clusters[0]) if clusters else None


def _unprotect(rds: Any, cluster: str) -> None:
    from botocore.exceptions import ClientError

    try:
        rds.modify_db_cluster(DBClusterIdentifier=cluster, DeletionProtection=False, ApplyImmediately=True)
    except ClientError as error:
        if error.response["Error"]["Code"] != "DBClusterNotFoundFault":  # it was deleted past CloudFormation
            raise


def _reasons(cloudformation: Any, stack_id: str) -> str:
    events = cloudformation.describe_stack_events(StackName=stack_id)["StackEvents"]
    failed = [event for event in events if event["ResourceStatus"] == "DELETE_FAILED"]
    return "; ".join(f"{e['LogicalResourceId']}: {e.get('ResourceStatusReason', '')}" for e in failed) or "try again"


def _last_snapshot(rds: Any, cluster: str) -> str | None:
    snapshots = rds.describe_db_cluster_snapshots(DBClusterIdentifier=cluster, SnapshotType="manual")
    newest = sorted(snapshots["DBClusterSnapshots"], key=lambda snapshot: snapshot["SnapshotCreateTime"])
    return str(newest[-1]["DBClusterSnapshotIdentifier"]) if newest else None


def main(stack: str) -> None:
    """Ask, delete, and tell. Raises DeployError."""
    import boto3

    try:
        typed = input(f"This deletes the stack {stack} with its API and its keys. Type its name to go on: ")
    except (EOFError, KeyboardInterrupt):  # nobody is there to type, or goes
        print()
        typed = ""
    if typed != stack:
        raise DeployError("Nothing was deleted.")
    snapshot = destroy(stack, boto3.client("cloudformation"), boto3.client("rds"))
    print(f"{stack} is deleted." if snapshot is None else f"{stack} is deleted; its data is kept as {snapshot}.")


if __name__ == "__main__":
    told_in_a_line(lambda: main(*sys.argv[1:]))
