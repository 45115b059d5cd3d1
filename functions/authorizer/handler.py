"""AuthorizerFunction: checks the token of a request before it reaches the API."""

from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from opdex.errors import Unauthenticated
from opdex.observability import logger, observed
from opdex.settings import AuthorizerSettings
from opdex.tokens.signing_keys import SigningKeys
from opdex.tokens.verdict import let_in
from opdex.tokens.verifier import TokenVerifier


@cache
def _verifier() -> TokenVerifier:
    settings = AuthorizerSettings.read()
    keys = SigningKeys(settings.token_issuer, settings.token_keys_url, settings.token_keys_seconds)
    return TokenVerifier(settings, keys)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer the gateway's question about the header Authorization; the message "Unauthorized" makes it answer 401."""
    verdict: dict[str, Any] | None = _verdict(event, context)
    if verdict is None:
        raise Unauthenticated("Unauthorized")
    return verdict


@observed
def _verdict(event: dict[str, Any], context: LambdaContext) -> dict[str, Any] | None:
    """Return the verdict on a good token, None on another: a refusal is no failure of the function."""
    logger.set_correlation_id(context.aws_request_id)
    scheme, _, token = str(event.get("authorizationToken", "")).strip().partition(" ")
    try:
        if scheme.lower() != "bearer":
            raise Unauthenticated("The header Authorization carries no bearer token.")
        return let_in(_verifier().verify(token.strip()), event["methodArn"])
    except Unauthenticated as error:
        logger.info("token refused", reason=error.message)
        return None
