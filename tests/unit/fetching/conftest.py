"""A server of documents that is believed to be docs.example.com, and an internet in which it is found."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.document_server import DocumentServer
from tests.unit.fetching.internet import HOST, Internet


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Who signs the certificates of the tests' servers."""
    return trustme.CA()


@pytest.fixture
def server(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DocumentServer]:
    """A server that speaks TLS as docs.example.com."""
    trusted = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(trusted))
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(tls)
    with DocumentServer(tls) as server:
        yield server


@pytest.fixture
def internet(server: DocumentServer) -> Internet:
    """Where that server is found."""
    return Internet(server.port)
