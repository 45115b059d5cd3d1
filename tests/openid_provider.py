"""An OpenID provider on this machine: its description, its keys, and the tokens that it gives out."""

import json
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from tests.document_server import DocumentServer

AUDIENCE = "opdex"


class OpenIdProvider:
    """Serves its description and its keys from a document server, and signs tokens."""

    def __init__(self, server: DocumentServer) -> None:
        self.server = server
        self.issuer = f"{server.url}/realm"
        self.keys_path = "/realm/keys"
        self.rsa = rsa.generate_private_key(65537, 2048)
        self.ec = ec.generate_private_key(ec.SECP256R1())
        self.keys: list[dict[str, Any]] = [
            {**self.public(self.rsa), "kid": "rsa", "use": "sig", "alg": "RS256"},
            {**self.public(self.ec), "kid": "ec", "use": "sig"},
        ]
        server.answer(
            "/realm/.well-known/openid-configuration",
            lambda exchange: exchange.reply(200, json.dumps(self.description()).encode()),
        )
        server.answer(self.keys_path, lambda exchange: exchange.reply(200, json.dumps({"keys": self.keys}).encode()))

    def description(self) -> dict[str, Any]:
        return {"issuer": self.issuer, "jwks_uri": self.server.url + self.keys_path}

    def public(self, key: Any) -> dict[str, Any]:
        """Return the public half of a key as JWK."""
        kind = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
        public: dict[str, Any] = kind.to_jwk(key.public_key(), as_dict=True)
        return public

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Return the claims of a good token, with these changes; None takes one out."""
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": AUDIENCE, "sub": "user-1", "exp": now + 600, "iat": now, **changes}
        return {name: value for name, value in claims.items() if value is not None}

    def token(
        self, key: Any = None, algorithm: str = "RS256", headers: dict[str, Any] | None = None, **changes: Any
    ) -> str:
        """Return a token, good but for these changes."""
        sent = {"kid": "ec" if algorithm == "ES256" else "rsa", **(headers or {})}
        key = key or (self.ec if algorithm == "ES256" else self.rsa)
        return jwt.encode(self.claims(**changes), key, algorithm, {k: v for k, v in sent.items() if v is not None})

    def fetches(self) -> int:
        """Return how often the keys were fetched."""
        return sum(path == self.keys_path for path, _ in self.server.requests)
