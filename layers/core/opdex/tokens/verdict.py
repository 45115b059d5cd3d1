"""What a Lambda authorizer answers to API Gateway."""

from typing import Any, Final

from opdex.openapi.plain_text import cut, on_one_line
from opdex.tokens.verifier import Bearer

_MOST_CHARACTERS: Final = 255  # as long as a subject may be


def let_in(bearer: Bearer, method_arn: str) -> dict[str, Any]:
    """Return the verdict on a good token: in with it to every method, for the API knows what each role may do.

    The gateway keeps it for other requests with the same token, so it must not depend on this one.
    """
    api, stage = method_arn.split("/")[:2]
    context = {"name": _short(bearer.name), "expires_at": str(bearer.expires_at)}
    if bearer.role is not None:
        context["role"] = bearer.role
    return {
        "principalId": _short(bearer.subject),
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [{"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": f"{api}/{stage}/*"}],
        },
        "context": context,
    }


def _short(text: str) -> str:
    return cut(on_one_line(text), _MOST_CHARACTERS)
