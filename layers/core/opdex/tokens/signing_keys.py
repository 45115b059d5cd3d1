"""The public keys that a provider signs its tokens with: fetched when first needed, and kept."""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Literal

import httpx
import jwt

from opdex.errors import TokenKeysUnavailable
from opdex.observability import logger
from opdex.settings import HTTPS

type Algorithm = Literal["RS256", "ES256"]
type _Keys = Mapping[tuple[str, Algorithm], jwt.PyJWK]

_DISCOVERY: Final = "/.well-known/openid-configuration"
# Of a key only what is public, and what its kind has; a key of another kind verifies nothing here.
_MEMBERS: Final[dict[Algorithm, tuple[str, ...]]] = {"RS256": ("kty", "n", "e"), "ES256": ("kty", "crv", "x", "y")}
_KIND: Final[dict[Algorithm, Mapping[str, str]]] = {"RS256": {"kty": "RSA"}, "ES256": {"kty": "EC", "crv": "P-256"}}
_MOST_BYTES: Final = 1_000_000
_FETCH_SECONDS: Final = 3.0
# A key that is not known may be a new one; but whoever makes names up must not make us fetch each time.
_LEAST_SECONDS_BETWEEN_FETCHES: Final = 30.0
_LEAST_SECONDS_WITHOUT_KEYS: Final = 2.0
# While the provider is away its keys of before are better than none.
_MOST_SECONDS_KEPT: Final = 24 * 3600.0


class SigningKeys:
    """A provider's keys by id and algorithm. ``url`` is where they are; None: where the issuer's description says."""

    def __init__(
        self, issuer: str, url: str | None, fresh_seconds: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._issuer = issuer
        self._url = url
        self._fresh_seconds = fresh_seconds
        self._now = now
        self._keys: _Keys = {}
        self._fetched_at = self._tried_at = float("-inf")

    def find(self, key_id: str, algorithm: Algorithm) -> jwt.PyJWK | None:
        """Return a key, None where the provider has no such. Raises TokenKeysUnavailable where none are known."""
        wanted = key_id, algorithm
        if wanted not in self._keys or self._age() >= self._fresh_seconds:
            pause = _LEAST_SECONDS_BETWEEN_FETCHES if self._keys else _LEAST_SECONDS_WITHOUT_KEYS
            if self._now() - self._tried_at >= pause:
                self._fetch()
        if self._age() >= _MOST_SECONDS_KEPT:
            raise TokenKeysUnavailable
        return self._keys.get(wanted)

    def _age(self) -> float:
        return self._now() - self._fetched_at

    def _fetch(self) -> None:
        self._tried_at = self._now()
        try:
            with httpx.Client(timeout=_FETCH_SECONDS) as client:
                self._keys = dict(_usable(_document(client, self._url or self._discover(client))))
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, RecursionError) as error:
            logger.warning("token keys not fetched", cause=type(error).__name__, reason=str(error)[:200])
        else:
            self._fetched_at = self._now()

    def _discover(self, client: httpx.Client) -> str:
        described = _document(client, self._issuer.rstrip("/") + _DISCOVERY)
        url = described.get("jwks_uri")
        if described.get("issuer") != self._issuer or not isinstance(url, str) or not re.match(HTTPS, url):
            raise ValueError("the issuer's description is of another issuer, or names no https address of keys")
        return url


def _document(client: httpx.Client, url: str) -> dict[str, Any]:
    with client.stream("GET", url) as answer:
        if answer.status_code != httpx.codes.OK:
            raise ValueError(f"{url} answers {answer.status_code}")
        body = bytearray()
        for part in answer.iter_bytes():
            body += part
            if len(body) > _MOST_BYTES:
                raise ValueError(f"{url} answers more than {_MOST_BYTES} bytes")
    document = json.loads(body)
    if not isinstance(document, dict):
        raise ValueError(f"{url} answers no JSON object")  # noqa: TRY004 - of a document, not of a caller
    return document


def _usable(key_set: Mapping[str, Any]) -> Iterator[tuple[tuple[str, Algorithm], jwt.PyJWK]]:
    listed = key_set.get("keys")
    for key in listed if isinstance(listed, list) else ():
        algorithm = _algorithm_of(key) if isinstance(key, dict) else None
        if algorithm is None:
            continue
        try:
            public = {member: key[member] for member in _MEMBERS[algorithm]}
            yield (key["kid"], algorithm), jwt.PyJWK(public, algorithm)
        except (jwt.PyJWTError, KeyError, ValueError, TypeError):
            logger.warning("token key not usable", key_id=str(key.get("kid"))[:100])


def _algorithm_of(key: dict[str, Any]) -> Algorithm | None:
    if not isinstance(key.get("kid"), str) or key.get("use", "sig") != "sig":
        return None
    for algorithm, kind in _KIND.items():
        if key.get("alg", algorithm) == algorithm and kind.items() <= key.items():
            return algorithm
    return None
