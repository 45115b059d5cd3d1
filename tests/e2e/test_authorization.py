"""A stack that asks for an OpenID provider's tokens, at the emulator's gateway."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import trustme

from local.ports import free_port
from local.system import Options, running
from tests.document_server import DocumentServer
from tests.openid_provider import AUDIENCE, OpenIdProvider

BASE = "/api/v1/admin"


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[OpenIdProvider]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    with DocumentServer(tls) as server:
        yield OpenIdProvider(server)


def test_token_opens_the_api_and_nothing_else_does(provider: OpenIdProvider, tmp_path: Path) -> None:
    parameters = {"API_AUTHORIZATION": "jwt", "TOKEN_ISSUER": provider.issuer, "TOKEN_AUDIENCE": AUDIENCE}
    options = Options(
        port=free_port(),
        data_folder=tmp_path / "data",
        parameters=parameters,
        function_variables={"SSL_CERT_FILE": str(tmp_path / "authority.pem")},
    )
    with running(options, print) as system, httpx.Client(base_url=system.endpoint.url, timeout=60) as client:

        def status(path: str, **headers: str) -> int:
            return client.get(path, headers=headers).status_code

        for path in ("/", "/healthz", "/docs", "/docs/swagger-ui.js", "/openapi.json"):
            assert status(path) == 200, path
        key = system.endpoint.api_key
        assert status(f"{BASE}/keys", **{"X-API-Key": key}) == 401
        assert status(f"{BASE}/keys", Authorization=f"Bearer {key}") == 401
        assert status(f"{BASE}/keys", Authorization=f"Bearer {provider.token(aud='elsewhere')}") == 401

        admin = provider.token(roles=["opdex:admin"], preferred_username="ann")
        crm = {"id": "crm", "name": "CRM", "version": "1"}
        headers = {"Authorization": f"Bearer {admin}"}
        assert client.post(f"{BASE}/api-catalogs", json=crm, headers=headers).status_code == 201
        (entry,) = client.get(f"{BASE}/audit", headers=headers).json()["entries"]
        assert (entry["who"]["kind"], entry["who"]["name"], entry["what"]) == ("token", "ann", "create_catalog")
        assert status(f"{BASE}/audit", Authorization=f"Bearer {provider.token(roles=['opdex:reader'])}") == 403
        both = {"Authorization": f"Bearer {provider.token()}", "X-API-Key": key}
        assert status(f"{BASE}/audit", **both) == 200
