"""Keys through the gateway of a deployed stack, made with the first one, which is its secret's."""

from typing import Any

import httpx
import pytest

from tests.e2e.system import BASE, System

pytestmark = pytest.mark.localstack


def test_key_opens_what_its_role_may_until_it_is_ended(running_system: dict[str, Any]) -> None:
    system = System(running_system)
    address = f"{running_system['url']}{BASE}/api-catalogs"

    def status(method: str, key: str) -> int:
        request = {"id": "refused", "name": "refused", "version": "1"} if method == "POST" else None
        return httpx.request(method, address, json=request, headers={"X-API-Key": key}, timeout=60).status_code

    with system.http:
        made = system.call("POST", "/keys", 201, json={"name": "of a test", "role": "reader", "expires_at": None})
        assert (status("GET", made["key"]), status("POST", made["key"])) == (200, 403)
        system.call("DELETE", f"/keys/{made['id']}", 204)
        assert status("GET", made["key"]) == 401
        assert httpx.get(address, timeout=60).status_code == 401
        told = [entry["what"] for entry in system.call("GET", "/audit")["entries"]]
    assert told[:2] == ["delete_key", "create_key"]
