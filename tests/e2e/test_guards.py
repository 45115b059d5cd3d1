"""What stands before the API when `ApiAuthorization` says so, and what stays open."""

from pathlib import Path

import httpx
import pytest

from local.ports import free_port
from local.system import Options, running
from tests.e2e.system import BASE

OPEN = ("/", "/healthz", "/docs", "/docs/swagger-ui.css", "/openapi.json")


@pytest.mark.parametrize(
    ("parameters", "refusal"),
    [
        (
            {"API_AUTHORIZATION": "jwt", "TOKEN_ISSUER": "https://issuer.example", "TOKEN_AUDIENCE": "opdex"},
            401,
        ),
        ({"API_AUTHORIZATION": "iam"}, 403),
    ],
)
def test_gateway_refuses_a_mere_key_but_on_open_routes_when_it_asks_for_more(
    tmp_path: Path, parameters: dict[str, str], refusal: int
) -> None:
    with running(Options(free_port(), tmp_path / "data", parameters, {}), print) as system:
        key = {"X-API-Key": system.endpoint.api_key}
        address = system.endpoint.url
        guarded = httpx.get(f"{address}{BASE}/api-catalogs", headers=key, timeout=60).status_code
        opened = {path: httpx.get(f"{address}{path}", timeout=60).status_code for path in OPEN}

    assert guarded == refusal
    assert opened == dict.fromkeys(OPEN, 200)
