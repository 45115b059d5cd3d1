"""What CloudFormation is told, and what it is not asked for."""

import json
from typing import Any
from urllib.error import URLError
from urllib.request import Request

import pytest

from opdex import custom_resource
from opdex.errors import MigrationFailed

EVENT = {
    "RequestType": "Update",
    "ResponseURL": "https://answers.example/?signed",
    "StackId": "arn:aws:cloudformation:eu-central-1:123456789012:stack/opdex/6f1b2c30",
    "RequestId": "c2f4e6a8",
    "LogicalResourceId": "Migrations",
}
LIMIT_BYTES = 4096


class _Opened:
    def close(self) -> None: ...


class CloudFormation:
    """Takes answers, but for as many as are to be lost first."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.lost = 0

    def open(self, request: Request, timeout: float) -> _Opened:
        assert (request.full_url, request.get_method()) == (EVENT["ResponseURL"], "PUT")
        assert timeout > 0
        if self.lost:
            self.lost -= 1
            raise URLError("reset")
        assert isinstance(request.data, bytes)
        self.bodies.append(request.data)
        return _Opened()

    @property
    def answer(self) -> dict[str, Any]:
        (body,) = self.bodies
        return dict(json.loads(body))


@pytest.fixture
def cloudformation(monkeypatch: pytest.MonkeyPatch) -> CloudFormation:
    cloudformation = CloudFormation()
    monkeypatch.setattr("urllib.request.urlopen", cloudformation.open)
    return cloudformation


def _fail(message: str) -> None:
    raise MigrationFailed(message)


@pytest.mark.parametrize("request_type", ["Create", "Update"])
def test_work_is_done_and_success_told_when_a_deploy_asks(cloudformation: CloudFormation, request_type: str) -> None:
    done: list[str] = []
    custom_resource.fulfil({**EVENT, "RequestType": request_type}, lambda: done.append("work"))
    assert done == ["work"]
    assert cloudformation.answer == {
        "Status": "SUCCESS",
        "Reason": "",
        "PhysicalResourceId": "migrations",
        "StackId": EVENT["StackId"],
        "RequestId": EVENT["RequestId"],
        "LogicalResourceId": "Migrations",
    }


def test_nothing_is_done_when_the_stack_is_deleted(cloudformation: CloudFormation) -> None:
    custom_resource.fulfil({**EVENT, "RequestType": "Delete"}, lambda: _fail("there is no database"))
    assert cloudformation.answer["Status"] == "SUCCESS"


def test_reason_is_told_when_the_work_fails(cloudformation: CloudFormation) -> None:
    with pytest.raises(MigrationFailed):
        custom_resource.fulfil(EVENT, lambda: _fail("0042_break.sql failed"))
    assert cloudformation.answer["Status"] == "FAILED"
    assert cloudformation.answer["Reason"] == "MigrationFailed: 0042_break.sql failed"


def test_answer_is_short_enough_when_the_reason_is_long(cloudformation: CloudFormation) -> None:
    with pytest.raises(MigrationFailed):
        custom_resource.fulfil(EVENT, lambda: _fail("ß" * 10_000))
    assert len(cloudformation.bodies[0]) < LIMIT_BYTES


def test_answer_is_sent_again_when_it_gets_lost(cloudformation: CloudFormation) -> None:
    cloudformation.lost = 2
    custom_resource.fulfil(EVENT, lambda: None)
    assert cloudformation.answer["Status"] == "SUCCESS"


def test_loss_is_raised_when_no_answer_arrives(cloudformation: CloudFormation) -> None:
    cloudformation.lost = 3
    with pytest.raises(URLError):
        custom_resource.fulfil(EVENT, lambda: None)
    assert cloudformation.bodies == []
