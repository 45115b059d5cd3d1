"""The built authorizer function on Lambda's own runtime, with its layers and nothing else to import from."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.build import BUILT_TEMPLATE, building
from local.built_functions import BuiltFunctions
from local.lambda_runtime import FunctionError, LambdaRuntime
from tests.document_server import DocumentServer
from tests.openid_provider import AUDIENCE, OpenIdProvider

METHOD_ARN = "arn:aws:execute-api:us-east-1:000000000000:abc123/v1/GET/api/v1/admin/audit"
PARAMETERS = {"API_AUTHORIZATION": "jwt", "TOKEN_ISSUER": "https://issuer.example", "TOKEN_AUDIENCE": AUDIENCE}


@pytest.fixture
def provider() -> Iterator[OpenIdProvider]:
    with DocumentServer() as server:
        yield OpenIdProvider(server)


@pytest.fixture
def authorizer(provider: OpenIdProvider, tmp_path: Path) -> Iterator[LambdaRuntime]:
    with building(print) as wait_for_build:
        wait_for_build()
    environment = {"TOKEN_ISSUER": provider.issuer, "TOKEN_AUDIENCE": AUDIENCE}
    with BuiltFunctions(BUILT_TEMPLATE, tmp_path, environment, PARAMETERS) as functions:
        yield functions.runtime(Path("authorizer_token.json"))


def asked(token: str) -> dict[str, str]:
    return {"type": "TOKEN", "authorizationToken": f"Bearer {token}", "methodArn": METHOD_ARN}


def test_built_authorizer_lets_in_whose_token_is_good_and_nobody_else(
    provider: OpenIdProvider, authorizer: LambdaRuntime
) -> None:
    verdict = authorizer.invoke(asked(provider.token(roles=["opdex:editor"])))
    assert verdict["principalId"] == "user-1"
    assert verdict["context"]["role"] == "editor"
    assert verdict["policyDocument"]["Statement"][0]["Effect"] == "Allow"

    for token in (provider.token(aud="elsewhere"), provider.token(exp=1), "a.b.c"):
        with pytest.raises(FunctionError) as refused:
            authorizer.invoke(asked(token))
        assert refused.value.payload["errorMessage"] == "Unauthorized"
