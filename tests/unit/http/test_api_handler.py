import json
import os
import subprocess
import sys
from pathlib import Path

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


def test_handler_answers_without_loading_what_a_read_does_not_need() -> None:
    event = proxy_event("GET", "/healthz?shallow=true")
    code = f"""
import json, sys
from functions.api.handler import handler
from tests.gateway import LambdaContext
answer = handler({event!r}, LambdaContext())
print()
print(json.dumps([answer["statusCode"], [m for m in ("boto3", "onnxruntime", "numpy", "httpx") if m in sys.modules]]))
"""
    done = run(code, EMBED_QUEUE_URL="https://queue.test", DATABASE_URL="postgresql://localhost:1/x")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [200, []]


def test_handler_names_what_is_missing_when_it_is_not_configured() -> None:
    done = run("import functions.api.handler")
    assert done.returncode != 0
    assert "EMBED_QUEUE_URL" in done.stderr.splitlines()[-1]
