"""A provider, and what checks its tokens."""

from collections.abc import Iterator

import pytest

from opdex.settings import AuthorizerSettings
from opdex.tokens.signing_keys import SigningKeys
from opdex.tokens.verifier import TokenVerifier
from tests.document_server import DocumentServer
from tests.openid_provider import AUDIENCE, OpenIdProvider


@pytest.fixture
def provider() -> Iterator[OpenIdProvider]:
    with DocumentServer() as server:
        yield OpenIdProvider(server)


@pytest.fixture
def settings(provider: OpenIdProvider) -> AuthorizerSettings:
    return AuthorizerSettings(token_issuer=provider.issuer, token_audience=f"other, {AUDIENCE}")


@pytest.fixture
def verifier(provider: OpenIdProvider, settings: AuthorizerSettings) -> TokenVerifier:
    return TokenVerifier(settings, SigningKeys(provider.issuer, None, fresh_seconds=3600))
