"""How a stack ends, and what is kept."""

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from deploy.destroy import destroy, main
from deploy.errors import DeployError

STACK_ID = "arn:aws:cloudformation:eu-central-1:123456789012:stack/opdex/6f1b2c30"


class Aws:
    """CloudFormation and RDS in one; notes what is done."""

    def __init__(self, *, cluster: str | None = "cluster", stuck: bool = False, there: bool = True) -> None:
        self.done: list[str] = []
        self._cluster = cluster
        self._stuck = stuck
        self._there = there

    def describe_stacks(self, *, StackName: str) -> dict[str, Any]:  # noqa: N803
        if not self._there:
            message = f"Stack with id {StackName} does not exist"
            raise ClientError({"Error": {"Code": "ValidationError", "Message": message}}, "DescribeStacks")
        outputs = [{"OutputKey": "DatabaseCluster", "OutputValue": self._cluster}] if self._cluster else []
        return {"Stacks": [{"StackId": STACK_ID, "Outputs": outputs}]}

    def modify_db_cluster(self, **settings: Any) -> None:
        assert settings == {
            "DBClusterIdentifier": self._cluster,
            "DeletionProtection": False,
            "ApplyImmediately": True,
        }
        self.done.append("unprotected")

    def delete_stack(self, *, StackName: str) -> None:  # noqa: N803
        assert StackName == STACK_ID
        self.done.append("deleted")

    def get_waiter(self, name: str) -> Any:
        assert name == "stack_delete_complete"
        return self

    def wait(self, **_: Any) -> None:
        self.done.append("waited")
        if self._stuck:
            raise WaiterError("StackDeleteComplete", "Waiter encountered a terminal failure state", {})

    def describe_stack_events(self, *, StackName: str) -> dict[str, Any]:  # noqa: N803
        assert StackName == STACK_ID
        failed = {"LogicalResourceId": "Vpc", "ResourceStatus": "DELETE_FAILED", "ResourceStatusReason": "it is in use"}
        return {"StackEvents": [failed, {"LogicalResourceId": "Api", "ResourceStatus": "DELETE_COMPLETE"}]}

    def describe_db_cluster_snapshots(self, **_: Any) -> dict[str, Any]:
        return {
            "DBClusterSnapshots": [
                {"DBClusterSnapshotIdentifier": "newest", "SnapshotCreateTime": datetime(2026, 11, 2, tzinfo=UTC)},
                {"DBClusterSnapshotIdentifier": "older", "SnapshotCreateTime": datetime(2026, 11, 1, tzinfo=UTC)},
            ]
        }


def test_stack_is_deleted_and_its_last_snapshot_named_when_it_had_a_database() -> None:
    aws = Aws()
    assert destroy("opdex", aws, aws) == "newest"
    assert aws.done == ["unprotected", "deleted", "waited"]


def test_database_is_left_alone_when_it_is_not_the_stacks() -> None:
    aws = Aws(cluster=None)
    assert destroy("opdex", aws, aws) is None
    assert aws.done == ["deleted", "waited"]


def test_reason_is_told_when_a_stack_cannot_be_deleted() -> None:
    aws = Aws(stuck=True)
    with pytest.raises(DeployError, match="Vpc: it is in use"):
        destroy("opdex", aws, aws)


def test_absence_is_told_when_there_is_no_such_stack() -> None:
    aws = Aws(there=False)
    with pytest.raises(DeployError, match="no stack to delete"):
        destroy("opdex", aws, aws)
    assert aws.done == []


def test_nothing_is_deleted_when_another_name_is_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.input", lambda _: "y")
    with pytest.raises(DeployError, match="Nothing was deleted"):
        main("opdex")
