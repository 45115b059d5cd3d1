"""The handlers behind the gateway, each in a process of its own: what they load, and what they need."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gateway import proxy_event

ROOT = Path(__file__).parents[3]


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}/layers/core:{ROOT}", **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("function", "path", "status", "unneeded"),
    [
        ("api", "/healthz?shallow=true", 200, ("boto3", "httpx", "numpy", "onnxruntime", "opdex.search")),
        ("search", "/api/v1/admin/search?q=any", 401, ("boto3", "httpx", "onnxruntime", "opdex.http.specs")),
    ],
)
def test_handler_answers_without_loading_what_a_request_does_not_need(
    function: str, path: str, status: int, unneeded: tuple[str, ...]
) -> None:
    code = f"""
import json, sys
from functions.{function}.handler import handler
from types import SimpleNamespace
told = dict(function_name="f", memory_limit_in_mb=512, invoked_function_arn="arn", aws_request_id="id")
told["get_remaining_time_in_millis"] = lambda: 29_000
answer = handler({proxy_event("GET", path)!r}, SimpleNamespace(**told))
print()
print(json.dumps([answer["statusCode"], [name for name in {unneeded!r} if name in sys.modules]]))
"""
    done = run(code, EMBED_QUEUE_URL="https://queue.test", DATABASE_URL="postgresql://localhost:1/x")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [status, []]


def test_handler_names_what_is_missing_when_it_is_not_configured() -> None:
    done = run("import functions.api.handler")
    assert done.returncode != 0
    assert "EMBED_QUEUE_URL" in done.stderr.splitlines()[-1]


def test_search_handler_needs_no_queue_when_it_is_configured() -> None:
    done = run("import functions.search.handler")
    assert done.returncode == 0, done.stderr
