"""The whole system as a user starts it, and an HTTP client for it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx

from local.ports import free_port

PROJECT = Path(__file__).parents[2]
BASE = "/api/v1/admin"
_READY_SECONDS = 120.0


class System:
    """A running system: what endpoint.json says, and calls to its API with the admin key."""

    def __init__(self, endpoint: dict[str, Any]) -> None:
        self.endpoint = endpoint
        self.http = httpx.Client(
            base_url=endpoint["url"].rstrip("/"), headers={"X-API-Key": endpoint["api_key"]}, timeout=60
        )

    def call(self, method: str, path: str, expected: int = 200, **request: Any) -> Any:
        """Call a route under the base path; fails the test on another status than the expected one."""
        answer = self.http.request(method, BASE + path, **request)
        assert answer.status_code == expected, (method, path, answer.status_code, answer.text[:500])
        return answer.json() if answer.content else None

    def create_catalog(self, catalog_id: str) -> None:
        self.call("POST", "/api-catalogs", 201, json={"id": catalog_id, "name": catalog_id, "version": "1"})

    def upload(self, catalog_id: str, spec_name: str, document: bytes, expected: int = 201) -> Any:
        return self.call(
            "PUT",
            f"/api-catalogs/{catalog_id}/specs/{spec_name}/upload",
            expected,
            content=document,
            headers={"Content-Type": "application/json"},
        )

    def statuses(self, catalog_id: str) -> list[dict[str, Any]]:
        answer = self.call("GET", f"/api-catalogs/{catalog_id}/embedding-status")
        return list(answer["specs"])


# A stack's name, the template's parameters and what the functions see beside them, each by variable name.
type Start = Callable[[str, Mapping[str, str], Mapping[str, str]], AbstractContextManager[System]]


def document(kind: str, count: int) -> bytes:
    """Return an OpenAPI document whose operations have texts of their own."""
    paths = {f"/{kind}/{number}": {"get": {"summary": f"Read {kind} number {number}"}} for number in range(count)}
    return json.dumps({"openapi": "3.0.3", "info": {"title": kind, "version": "1"}, "paths": paths}).encode()


@contextmanager
def started_system(folder: Path, *options: str, project: Path = PROJECT) -> Iterator[System]:
    """Run ``python -m local`` with these options on a free port for the block; end it as Ctrl-C does.

    ``project`` is the folder of another release, where not this one is meant.
    """
    log = folder / "run.log"
    command = [sys.executable, "-m", "local", "--port", str(free_port()), "--data-dir", str(folder / "data"), *options]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(project / "layers/core"), str(project)))}
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=project, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        system = System(_wait_for(folder / "data" / "endpoint.json", process, log))
        with system.http:
            yield system
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def _wait_for(endpoint: Path, process: "subprocess.Popen[bytes]", log: Path) -> dict[str, Any]:
    deadline = time.monotonic() + _READY_SECONDS
    while not endpoint.exists():
        assert process.poll() is None, f"the system ended: {log.read_text()}"
        assert time.monotonic() < deadline, f"the system is not ready: {log.read_text()}"
        time.sleep(0.05)
    return dict(json.loads(endpoint.read_text()))
