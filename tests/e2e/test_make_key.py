"""``make key`` as a user calls it, on the running system."""

import os
import subprocess
from typing import Any

import httpx

from tests.e2e.system import BASE, PROJECT


def make_key(endpoint: dict[str, Any], *variables: str) -> str:
    """Return what the command prints."""
    environment = {**os.environ, "OPDEX_URL": endpoint["url"], "OPDEX_KEY": endpoint["api_key"]}
    command = ["make", "--silent", "key", *variables]
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_key_is_made_listed_and_ended_when_make_is_asked(running_system: dict[str, Any]) -> None:
    said = make_key(running_system, "NAME=the nightly build's", "ROLE=reader", "EXPIRES=2999-01-31T00:00:00Z")
    made = said.split()[-1]

    def status() -> int:
        return httpx.get(f"{running_system['url']}{BASE}/api-catalogs", headers={"X-API-Key": made}).status_code

    assert status() == 200
    (line,) = [line for line in make_key(running_system).splitlines() if "the nightly build's" in line]
    assert "first-admin" in make_key(running_system)
    make_key(running_system, f"REVOKE={line.split()[0]}")
    assert status() == 401
