"""How a deploy is begun, the first time and later."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from deploy.__main__ import main, options
from deploy.environment import Environment
from deploy.errors import DeployError
from tests.unit.deploy.account import CloudFormation, Lambda

ENOUGH, TOO_LITTLE = Lambda(1000, 1000), Lambda(10, 10)
GUIDED = ["--config-env", "default", "--guided"]


def _environment(**parameters: str) -> Environment:
    return Environment("default", "opdex", parameters)


@pytest.mark.parametrize("status", [None, "REVIEW_IN_PROGRESS"])
def test_parameters_are_asked_for_when_there_is_no_stack_yet(status: str | None) -> None:
    assert options(_environment(Workers="3"), CloudFormation(status), ENOUGH) == GUIDED


@pytest.mark.parametrize("parameter", ["CreateDatabase", "DatabaseSecretArn"])
def test_nothing_is_asked_when_samconfig_names_the_database(parameter: str) -> None:
    assert options(_environment(**{parameter: "so"}), CloudFormation(), ENOUGH) == GUIDED[:2]


def test_nothing_is_asked_when_the_stack_is_there() -> None:
    assert options(_environment(), CloudFormation("UPDATE_COMPLETE"), ENOUGH) == GUIDED[:2]


def test_too_little_concurrency_is_told_and_all_else_asked_when_there_is_no_stack_yet(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert options(_environment(), CloudFormation(), TOO_LITTLE) == GUIDED
    assert "ReserveWorkers=false" in capsys.readouterr().err


def test_too_little_concurrency_ends_the_deploy_when_nothing_is_asked() -> None:
    with pytest.raises(DeployError, match="Lambda would refuse"):
        options(_environment(CreateDatabase="true"), CloudFormation(), TOO_LITTLE)


def test_what_the_stack_has_counts_when_samconfig_does_not_say() -> None:
    stack = CloudFormation("UPDATE_COMPLETE", {"ReserveWorkers": "false"})
    assert options(_environment(), stack, TOO_LITTLE) == GUIDED[:2]
    with pytest.raises(DeployError, match="Lambda would refuse"):
        options(_environment(ReserveWorkers="true"), stack, TOO_LITTLE)


def test_what_the_stack_holds_counts_when_it_deploys_again() -> None:
    stack = CloudFormation("UPDATE_COMPLETE", resources={"AWS::Lambda::Function": ("api",), "AWS::SQS::Queue": ("q",)})
    assert options(_environment(), stack, Lambda(200, 129, {"api": 50})) == GUIDED[:2]


def test_sam_deploys_when_all_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    account = {"cloudformation": CloudFormation(), "lambda": ENOUGH}
    regions: list[str | None] = []

    def session(*, region_name: str | None) -> SimpleNamespace:
        regions.append(region_name)
        return SimpleNamespace(client=account.__getitem__)

    became: list[list[str]] = []
    monkeypatch.setattr("boto3.Session", session)
    monkeypatch.setattr("os.execv", lambda program, words: became.append([str(program), *words[1:]]))
    main("production")
    ((program, *words),) = became
    assert Path(program).name == "sam"
    assert words == ["deploy", "--config-env", "production", "--guided"]
    assert regions == [None]


@pytest.mark.parametrize("status", ["CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"])
def test_way_out_is_told_when_the_first_deploy_failed(status: str) -> None:
    with pytest.raises(DeployError, match=rf"opdex is {status}.*make destroy STACK=opdex"):
        options(_environment(), CloudFormation(status), ENOUGH)
