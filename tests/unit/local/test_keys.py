"""What ``make key`` sends along, behind each of the things that may stand before the API."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from local.keys import key
from tests.gateway import serving

command = typer.Typer()
command.command()(key)


class Stack:
    """A deployed stack, which notes the headers of each request."""

    def __init__(self) -> None:
        self.headers: list[dict[str, str]] = []
        self.status = 200

    def __call__(self, event: dict[str, Any], _: Any) -> dict[str, Any]:
        self.headers.append({name.lower(): value for name, value in event["headers"].items()})
        body: dict[str, Any] = {"keys": []} if self.status == 200 else {"error": {"message": "Send a valid token."}}
        headers = {"Content-Type": "application/json"}
        return {"statusCode": self.status, "headers": headers, "body": json.dumps(body)}


@pytest.fixture
def stack() -> Stack:
    return Stack()


@pytest.fixture
def url(stack: Stack) -> Iterator[str]:
    with serving(stack) as url:
        yield url


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"OPDEX_KEY": "a-key"}, {"x-api-key": "a-key"}),
        ({"OPDEX_TOKEN": "a.good.token"}, {"authorization": "Bearer a.good.token"}),
        (
            {"OPDEX_KEY": "a-key", "OPDEX_TOKEN": "a.good.token"},
            {"x-api-key": "a-key", "authorization": "Bearer a.good.token"},
        ),
    ],
)
def test_key_and_token_are_sent_when_they_are_given(
    given: dict[str, str], sent: dict[str, str], stack: Stack, url: str
) -> None:
    done = CliRunner().invoke(command, env={"OPDEX_URL": url, **given})
    assert done.exit_code == 0, done.output
    (headers,) = stack.headers
    assert {name: headers[name] for name in ("x-api-key", "authorization") if name in headers} == sent


def test_token_is_told_nobody_when_it_is_refused(stack: Stack, url: str) -> None:
    stack.status = 401
    done = CliRunner().invoke(command, env={"OPDEX_URL": url, "OPDEX_TOKEN": "a.bad.token"})
    assert done.exit_code == 2
    assert done.output == "Refused (401): Send a valid token.\n"


@pytest.mark.parametrize(
    "given", [{"OPDEX_URL": "https://opdex.example"}, {"OPDEX_KEY": "a-key"}, {"OPDEX_TOKEN": "a.good.token"}]
)
def test_what_is_missing_is_told_when_a_stack_cannot_be_asked(given: dict[str, str]) -> None:
    done = CliRunner().invoke(command, env=given)
    assert done.exit_code == 2
    assert done.output == "A deployed stack needs OPDEX_URL, and OPDEX_KEY or OPDEX_TOKEN or both.\n"


@pytest.mark.parametrize(
    "given", [{"NAME": "agent"}, {"EXPIRES": "2999-01-31T00:00:00Z"}, {"NAME": "agent", "REVOKE": "0123"}]
)
def test_nothing_is_asked_when_a_new_key_has_no_role(given: dict[str, str], stack: Stack, url: str) -> None:
    done = CliRunner().invoke(command, env={"OPDEX_URL": url, "OPDEX_KEY": "a-key", **given})
    assert done.exit_code == 2
    assert done.output.startswith("A new key needs a role: make key NAME=… ROLE=reader|editor|admin ")
    assert done.output.count("\n") == 1
    assert stack.headers == []
