"""``make key`` against the API, as a command of its own."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.build import PROJECT
from tests.gateway import Gateway, serving


class Command:
    """Runs the command with these variables, and those of nobody else."""

    def __init__(self, **environment: str) -> None:
        self._environment = {
            "PATH": os.environ["PATH"], "PYTHONPATH": f"{PROJECT / 'layers/core'}:{PROJECT}", **environment
        }  # fmt: skip

    def __call__(self, **variables: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "local.keys"],
            cwd=PROJECT,
            env=self._environment | variables,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def url(gateway: Gateway) -> Iterator[str]:
    with serving(gateway.handler) as url:
        yield url


@pytest.fixture
def command(url: str, gateway: Gateway, tmp_path: Path) -> Command:
    (tmp_path / "endpoint.json").write_text(json.dumps({"url": url, "api_key": gateway.key}))
    return Command(DATA_DIR=str(tmp_path))


def test_key_is_made_listed_and_ended_when_a_system_runs(command: Command, gateway: Gateway) -> None:
    made = command(NAME="the build", ROLE="editor", EXPIRES="2999-01-31T00:00:00+01:00")
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()
    assert re.fullmatch(r"opdex_[\w-]{43}", key)
    assert gateway.call("GET", "/api/v1/admin/api-catalogs", key=key).status == 200
    assert gateway.call("GET", "/api/v1/admin/keys", key=key).status == 403

    listed = command()
    assert key not in listed.stdout + listed.stderr
    (line,) = [line for line in listed.stdout.splitlines() if "the build" in line]
    assert "editor" in line
    assert "2999-01-30T23:00:00Z" in line

    ended = command(REVOKE=line.split()[0])
    assert (ended.returncode, ended.stdout) == (0, "")
    assert gateway.call("GET", "/api/v1/admin/api-catalogs", key=key).status == 401


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"ROLE": "king", "NAME": "me"}, "Refused (400): The request is malformed: role: "),
        ({"ROLE": "reader"}, "Refused (400): The request is malformed: name: "),
        ({"ROLE": "reader", "NAME": "me", "EXPIRES": "2999-01-31T00:00:00"}, "Refused (400): The request is malformed"),
        ({"ROLE": "reader", "NAME": "me", "EXPIRES": "tomorrow"}, "Refused (400): The request is malformed"),
        ({"REVOKE": "nobody"}, "Refused (404): No key 'nobody'."),
        (
            {"OPDEX_URL": "https://opdex.example"},
            "A deployed stack needs OPDEX_URL, and OPDEX_KEY or OPDEX_TOKEN or both.",
        ),
        ({"DATA_DIR": "/nowhere"}, "No system runs in /nowhere: start one with make run, or set OPDEX_URL"),
    ],
)
def test_one_line_says_what_is_wrong(command: Command, variables: dict[str, str], complaint: str) -> None:
    refused = command(**variables)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith(complaint)
    assert refused.stderr.count("\n") == 1


def test_deployed_stack_is_reached_by_its_url_and_a_key(url: str, gateway: Gateway) -> None:
    command = Command(OPDEX_URL=f"{url}/")
    assert "test" in command(OPDEX_KEY=str(gateway.key)).stdout
    refused = command(OPDEX_KEY="wrong")
    assert (refused.returncode, refused.stderr[:14]) == (2, "Refused (401):")


def test_unreachable_stack_is_named(tmp_path: Path) -> None:
    command = Command(OPDEX_URL="http://127.0.0.1:9", OPDEX_KEY="any")
    assert "http://127.0.0.1:9/api/v1/admin/ does not answer" in command().stderr
