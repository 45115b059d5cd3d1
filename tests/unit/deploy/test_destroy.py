"""How a stack ends, and what is kept."""

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from deploy.destroy import destroy, main
from deploy.errors import DeployError
from tests.unit.deploy.account import STACK_ID, CloudFormation


class Aws(CloudFormation):
    """CloudFormation and RDS in one; notes what is done."""

    def __init__(self, status: str | None = "CREATE_COMPLETE", *, stuck: bool = False) -> None:
        super().__init__(status, resources={"AWS::RDS::DBCluster": ("cluster",)})
        self.done: list[str] = []
        self.refusal = ""  # RDS's code
        self._stuck = stuck

    def modify_db_cluster(self, **settings: Any) -> None:
        assert settings == {
            "DBClusterIdentifier": "cluster",
            "DeletionProtection": False,
            "ApplyImmediately": True,
        }
        if self.refusal:
            raise ClientError({"Error": {"Code": self.refusal, "Message": "no"}}, "ModifyDBCluster")
        self.done.append("unprotected")

    def delete_stack(self, *, StackName: str) -> None:  # noqa: N803
        assert StackName == STACK_ID
        assert not self.is_protected
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


@pytest.mark.parametrize("status", ["UPDATE_COMPLETE", "ROLLBACK_FAILED"])
def test_stack_is_deleted_and_its_last_snapshot_named_when_it_had_a_database(status: str) -> None:
    aws = Aws(status)
    assert destroy("opdex", aws, aws) == "newest"
    assert aws.done == ["unprotected", "deleted", "waited"]


def test_stack_is_deleted_when_it_is_protected_itself() -> None:
    aws = Aws()
    aws.is_protected = True
    destroy("opdex", aws, aws)
    assert aws.done == ["unprotected", "deleted", "waited"]


def test_database_is_left_alone_when_the_stack_has_none() -> None:
    aws = Aws()
    aws.gone = {"cluster"}
    assert destroy("opdex", aws, aws) is None
    assert aws.done == ["deleted", "waited"]


def test_stack_is_deleted_when_its_database_is_gone_already() -> None:
    aws = Aws()
    aws.refusal = "DBClusterNotFoundFault"
    assert destroy("opdex", aws, aws) == "newest"  # of when it was deleted
    assert aws.done == ["deleted", "waited"]


def test_nothing_is_deleted_when_the_database_stays_protected() -> None:
    aws = Aws()
    aws.refusal = "InvalidDBClusterStateFault"
    with pytest.raises(ClientError, match="InvalidDBClusterStateFault"):
        destroy("opdex", aws, aws)
    assert aws.done == []


def test_reason_is_told_when_a_stack_cannot_be_deleted() -> None:
    aws = Aws(stuck=True)
    with pytest.raises(DeployError, match="Vpc: it is in use"):
        destroy("opdex", aws, aws)


def test_absence_is_told_when_there_is_no_such_stack() -> None:
    aws = Aws(None)
    with pytest.raises(DeployError, match="no stack opdex to delete"):
        destroy("opdex", aws, aws)
    assert aws.done == []


def test_nothing_is_deleted_when_another_name_is_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.input", lambda _: "y")
    with pytest.raises(DeployError, match="Nothing was deleted"):
        main("opdex")


@pytest.mark.parametrize("going", [EOFError, KeyboardInterrupt])
def test_nothing_is_deleted_when_nobody_types(going: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(_: str) -> str:
        raise going

    monkeypatch.setattr("builtins.input", leave)
    with pytest.raises(DeployError, match="Nothing was deleted"):
        main("opdex")
