import json

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from opdex.errors import TokenKeysUnavailable
from opdex.tokens.signing_keys import SigningKeys
from tests.document_server import Exchange
from tests.openid_provider import OpenIdProvider


class Clock:
    """A clock that a test winds."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(provider: OpenIdProvider, clock: Clock) -> SigningKeys:
    return SigningKeys(provider.issuer, None, fresh_seconds=3600, now=clock)


def test_keys_are_fetched_once_when_many_tokens_come(provider: OpenIdProvider, keys: SigningKeys) -> None:
    for _ in range(3):
        assert keys.find("rsa", "RS256") is not None
        assert keys.find("ec", "ES256") is not None
    assert provider.fetches() == 1


def test_key_is_of_one_algorithm_only(keys: SigningKeys) -> None:
    assert keys.find("rsa", "ES256") is None
    assert keys.find("ec", "RS256") is None


def test_address_of_the_keys_needs_no_discovery_when_it_is_given(provider: OpenIdProvider) -> None:
    keys = SigningKeys("https://nowhere.example", provider.server.url + provider.keys_path, fresh_seconds=3600)
    assert keys.find("rsa", "RS256") is not None
    assert [path for path, _ in provider.server.requests] == [provider.keys_path]


def test_new_key_is_found_when_the_provider_has_rotated(
    provider: OpenIdProvider, keys: SigningKeys, clock: Clock
) -> None:
    keys.find("rsa", "RS256")
    provider.keys = [{**provider.public(rsa.generate_private_key(65537, 2048)), "kid": "new"}]
    clock.seconds += 31
    assert keys.find("new", "RS256") is not None
    assert keys.find("rsa", "RS256") is None


def test_names_that_somebody_makes_up_are_no_reason_to_fetch_each_time(
    provider: OpenIdProvider, keys: SigningKeys, clock: Clock
) -> None:
    for number in range(100):
        assert keys.find(f"made-up-{number}", "RS256") is None
        clock.seconds += 0.1
    assert provider.fetches() == 1


def test_key_that_was_withdrawn_is_refused_after_an_hour(
    provider: OpenIdProvider, keys: SigningKeys, clock: Clock
) -> None:
    assert keys.find("rsa", "RS256") is not None
    provider.keys = []
    clock.seconds += 3599
    assert keys.find("rsa", "RS256") is not None
    clock.seconds += 1
    assert keys.find("rsa", "RS256") is None


def test_keys_of_before_do_for_a_day_when_the_provider_is_away(
    provider: OpenIdProvider, keys: SigningKeys, clock: Clock
) -> None:
    assert keys.find("rsa", "RS256") is not None
    provider.server.serve(provider.keys_path, status=503)
    clock.seconds += 23 * 3600
    assert keys.find("rsa", "RS256") is not None
    clock.seconds += 3600
    with pytest.raises(TokenKeysUnavailable):
        keys.find("rsa", "RS256")


def test_provider_that_was_away_at_first_is_asked_again_soon(
    provider: OpenIdProvider, keys: SigningKeys, clock: Clock
) -> None:
    answer = json.dumps({"keys": provider.keys}).encode()
    provider.server.serve(provider.keys_path, status=503)
    for _ in range(3):
        with pytest.raises(TokenKeysUnavailable):
            keys.find("rsa", "RS256")
    assert provider.fetches() == 1
    provider.server.serve(provider.keys_path, answer)
    clock.seconds += 2
    assert keys.find("rsa", "RS256") is not None


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b"[" * 100_000),
        (200, b"{" + b" " * 1_000_001 + b"}"),
        (302, b""),
        (404, b"{}"),
        (200, b"\xff"),
    ],
)
def test_what_is_no_list_of_keys_is_no_answer(
    provider: OpenIdProvider, keys: SigningKeys, status: int, body: bytes
) -> None:
    provider.server.serve(provider.keys_path, body, status=status, Location="/elsewhere")
    with pytest.raises(TokenKeysUnavailable):
        keys.find("rsa", "RS256")


@pytest.mark.parametrize("listed", [None, {}, "rsa", 1])
def test_answer_without_keys_has_none(provider: OpenIdProvider, keys: SigningKeys, listed: object) -> None:
    provider.server.serve(provider.keys_path, json.dumps({"keys": listed}).encode())
    assert keys.find("rsa", "RS256") is None


@pytest.mark.parametrize(
    "odd",
    [
        None,
        {},
        {"kid": "odd"},
        {"kid": 1, "kty": "RSA"},
        {"kid": "odd", "kty": "RSA"},
        {"kid": "odd", "kty": "RSA", "n": 1, "e": []},
        {"kid": "odd", "kty": "RSA", "n": "!", "e": "AQAB"},
        {"kid": "odd", "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kid": "odd", "kty": "EC", "crv": "P-521", "x": "AA", "y": "AA"},
        {"kid": "odd", "kty": "oct", "k": "AA"},
        {"kid": "odd", "kty": ["RSA"]},
    ],
)
def test_key_that_cannot_be_used_is_passed_over(provider: OpenIdProvider, keys: SigningKeys, odd: object) -> None:
    provider.keys = [odd, *provider.keys]  # type: ignore[list-item]
    assert keys.find("rsa", "RS256") is not None
    assert keys.find("odd", "RS256") is None
    assert keys.find("odd", "ES256") is None


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://evil.example"},
        {"jwks_uri": None},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": "http://keys.example/"},
        {"jwks_uri": "http://localhost.evil.example/"},
    ],
)
def test_description_is_not_believed_when_it_is_of_another_issuer_or_leads_astray(
    provider: OpenIdProvider, keys: SigningKeys, changes: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {**provider.description(), **changes}
    monkeypatch.setattr(provider, "description", lambda: told)
    with pytest.raises(TokenKeysUnavailable):
        keys.find("rsa", "RS256")
    assert provider.fetches() == 0


def test_redirect_to_other_keys_is_not_followed(provider: OpenIdProvider, keys: SigningKeys) -> None:
    elsewhere = provider.server.serve("/elsewhere", json.dumps({"keys": provider.keys}).encode())

    def redirect(exchange: Exchange) -> None:
        exchange.reply(302, headers={"Location": elsewhere})

    provider.server.answer(provider.keys_path, redirect)
    with pytest.raises(TokenKeysUnavailable):
        keys.find("rsa", "RS256")
