import subprocess
import sys

import pytest
from botocore.exceptions import NoCredentialsError

from deploy.errors import DeployError, told_in_a_line
from local.build import PROJECT


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (DeployError("Raise the quota."), "Raise the quota."),
        (NoCredentialsError(), "AWS cannot be asked: Unable to locate credentials"),
    ],
)
def test_mistake_is_told_in_a_line_when_something_does_not_work(error: Exception, told: str) -> None:
    def act() -> None:
        raise error

    with pytest.raises(SystemExit) as ended:
        told_in_a_line(act)
    assert ended.value.code == told


@pytest.mark.parametrize("command", [("deploy", "moon"), ("deploy.protection", "moon"), ("deploy.destroy", "opdex")])
def test_command_ends_with_one_line_when_it_cannot_go_on(command: tuple[str, str]) -> None:
    environment = {"PATH": "", "PYTHONPATH": f"layers/core:{PROJECT}", "AWS_EC2_METADATA_DISABLED": "true"}
    ended = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=PROJECT,
        env=environment,
        input="no\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
