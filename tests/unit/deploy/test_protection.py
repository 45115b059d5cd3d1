"""What CloudFormation is told after a deploy, so that it keeps a stack's own database."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deploy.protection import MAY_GO, STAYS, main, protect
from local.build import TEMPLATE
from local.template import read_template
from tests.unit.deploy.account import CloudFormation

OWN = {"CreateDatabase": "true", "DeletionProtection": "true"}
UNPROTECTED = OWN | {"DeletionProtection": "false"}


def _statements(policy: Path) -> list[dict[str, Any]]:
    return list(json.loads(policy.read_text())["Statement"])


def test_stack_is_protected_when_its_parameters_say_so() -> None:
    account = CloudFormation("UPDATE_COMPLETE", OWN)
    assert protect("opdex", account) is True
    assert (account.is_protected, account.policy) == (True, STAYS.read_text())


def test_stack_is_released_when_its_parameters_say_so_later() -> None:
    account = CloudFormation("UPDATE_COMPLETE", UNPROTECTED)
    account.is_protected = True
    assert protect("opdex", account) is False
    assert (account.is_protected, account.policy) == (False, MAY_GO.read_text())


@pytest.mark.parametrize("status", [None, "REVIEW_IN_PROGRESS", "UPDATE_COMPLETE"])
def test_nothing_is_said_when_there_is_no_database_of_the_stacks_own(status: str | None) -> None:
    account = CloudFormation(status, OWN | {"CreateDatabase": "false"})
    assert protect("opdex", account) is None
    assert (account.is_protected, account.policy) == (False, "")


def test_policy_keeps_the_database_alone_when_it_is_to_stay() -> None:
    rest, database = _statements(STAYS)
    assert [rest] == _statements(MAY_GO)
    assert (rest["Effect"], rest["Action"], rest["Resource"]) == (
        "Allow",
        "Update:*",
        "*",
    )  # what is not allowed is denied
    assert (database["Effect"], database["Action"]) == ("Deny", ["Update:Replace", "Update:Delete"])
    logical_id = database["Resource"].removeprefix("LogicalResourceId/")
    assert read_template(TEMPLATE)["Resources"][logical_id]["Type"] == "AWS::RDS::DBCluster"


@pytest.mark.parametrize(("parameters", "told"), [(OWN, "are protected"), (UNPROTECTED, "are not protected"), ({}, "")])
def test_protection_is_told_when_there_is_something_to_protect(
    parameters: dict[str, str], told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    account = CloudFormation("CREATE_COMPLETE", parameters or {"CreateDatabase": "false"})
    monkeypatch.setattr("boto3.Session", lambda **_: SimpleNamespace(client={"cloudformation": account}.__getitem__))
    main("default")
    said = capsys.readouterr().out
    assert told in said
    assert bool(said) is bool(told)
