import base64
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from opdex.errors import TokenKeysUnavailable, Unauthenticated
from opdex.settings import AuthorizerSettings
from opdex.tokens.verifier import Bearer, TokenVerifier
from tests.openid_provider import AUDIENCE, OpenIdProvider

type Forge = Callable[[OpenIdProvider], str]


def now() -> int:
    return int(time.time())


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def unsigned(provider: OpenIdProvider, **header: Any) -> str:
    return f"{part({'typ': 'JWT', 'kid': 'rsa', **header})}.{part(provider.claims())}."


def signed_with_the_public_key(provider: OpenIdProvider) -> str:
    """The classic: the public key, known to all, taken for the secret of an HMAC."""
    secret = provider.rsa.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    body = f"{part({'alg': 'HS256', 'kid': 'rsa'})}.{part(provider.claims())}"
    algorithm = jwt.get_algorithm_by_name("HS256")
    signature = algorithm.sign(body.encode(), secret)
    return f"{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def changed(provider: OpenIdProvider) -> str:
    header, _, signature = provider.token(roles=["opdex:reader"]).split(".")
    return f"{header}.{part(provider.claims(roles=['opdex:admin']))}.{signature}"


def with_its_own_key(provider: OpenIdProvider) -> str:
    stranger = rsa.generate_private_key(65537, 2048)
    return provider.token(stranger, headers={"jwk": provider.public(stranger), "jku": "https://evil.example/keys"})


FORGED: dict[str, Forge] = {
    "unsigned": lambda provider: unsigned(provider, alg="none"),
    "unsigned in other letters": lambda provider: unsigned(provider, alg="NoNe"),
    "no algorithm": lambda provider: unsigned(provider),
    "HMAC by the public key": signed_with_the_public_key,
    "claims changed": changed,
    "a stranger's key": lambda provider: provider.token(rsa.generate_private_key(65537, 2048)),
    "a key of its own": with_its_own_key,
    "a stranger's curve": lambda provider: provider.token(ec.generate_private_key(ec.SECP256R1()), "ES256"),
    "another kind of key": lambda provider: provider.token(algorithm="ES256", headers={"kid": "rsa"}),
    "another algorithm": lambda provider: provider.token(algorithm="RS512"),
    "an algorithm that is no text": lambda provider: f"{part({'alg': ['RS256'], 'kid': 'rsa'})}.{part({})}.x",
    "unknown key": lambda provider: provider.token(headers={"kid": "other"}),
    "no key named": lambda provider: provider.token(headers={"kid": None}),
    "an extension that must be understood": lambda provider: provider.token(headers={"crit": ["x"], "x": 1}),
    "expired": lambda provider: provider.token(exp=now() - 60),
    "no end": lambda provider: provider.token(exp=None),
    "an end that is no number": lambda provider: provider.token(exp="soon"),
    "an end beyond all numbers": lambda provider: provider.token(exp=float("inf")),
    "not yet": lambda provider: provider.token(nbf=now() + 600),
    "given out tomorrow": lambda provider: provider.token(iat=now() + 86400),
    "another issuer": lambda provider: provider.token(iss="https://evil.example"),
    "an issuer that begins alike": lambda provider: provider.token(iss=f"{provider.issuer}/x"),
    "no issuer": lambda provider: provider.token(iss=None),
    "another audience": lambda provider: provider.token(aud="someone-else"),
    "no audience": lambda provider: provider.token(aud=None),
    "nobody": lambda provider: provider.token(sub=""),
    "no subject": lambda provider: provider.token(sub=None),
    "endless": lambda provider: provider.token(padding="x" * 20_000),
    "empty": lambda provider: "",
    "two parts": lambda provider: "a.b",
    "an API key": lambda provider: "opdex_" + "A" * 43,
    "NUL": lambda provider: provider.token() + "\0",
    "half a surrogate": lambda provider: "\ud800.b.c",
}


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_bearer_is_known_when_the_token_is_good(
    provider: OpenIdProvider, verifier: TokenVerifier, algorithm: str
) -> None:
    ends_at = now() + 300
    claims: dict[str, Any] = {"roles": ["opdex:reader", "opdex:editor"], "preferred_username": "ann", "exp": ends_at}
    bearer = verifier.verify(provider.token(algorithm=algorithm, **claims))
    assert bearer == Bearer("user-1", "ann", "editor", ends_at)


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_token_is_refused_when_anything_is_wrong_with_it(
    provider: OpenIdProvider, verifier: TokenVerifier, forge: Forge
) -> None:
    token = forge(provider)
    with pytest.raises(Unauthenticated) as refused:
        verifier.verify(token)
    assert not token or token not in refused.value.message


def test_secret_among_the_provider_s_keys_verifies_nothing(provider: OpenIdProvider, verifier: TokenVerifier) -> None:
    secret = base64.urlsafe_b64encode(b"s" * 32).rstrip(b"=").decode()
    provider.keys = [{"kty": "oct", "k": secret, "kid": "rsa", "alg": "HS256"}]
    with pytest.raises(Unauthenticated):
        verifier.verify(jwt.encode(provider.claims(), b"s" * 32, "HS256", {"kid": "rsa"}))


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")  # it is made so on purpose
def test_weak_key_of_the_provider_verifies_nothing(provider: OpenIdProvider, verifier: TokenVerifier) -> None:
    weak = rsa.generate_private_key(65537, 1024)  # noqa: S505
    provider.keys = [{**provider.public(weak), "kid": "rsa"}]
    with pytest.raises(Unauthenticated):
        verifier.verify(provider.token(weak))


def test_key_for_encryption_verifies_nothing(provider: OpenIdProvider, verifier: TokenVerifier) -> None:
    provider.keys = [{**provider.keys[0], "use": "enc"}]
    with pytest.raises(Unauthenticated):
        verifier.verify(provider.token())


def test_clock_of_the_provider_may_be_a_little_off(provider: OpenIdProvider, verifier: TokenVerifier) -> None:
    assert verifier.verify(provider.token(exp=now() - 5)).subject == "user-1"
    assert verifier.verify(provider.token(nbf=now() + 10)).subject == "user-1"


def test_one_of_several_audiences_suffices(provider: OpenIdProvider, verifier: TokenVerifier) -> None:
    assert verifier.verify(provider.token(aud=["elsewhere", AUDIENCE])).subject == "user-1"


@pytest.mark.parametrize(
    ("name", "claims", "role"),
    [
        (None, {"roles": "opdex:admin"}, "admin"),
        (None, {"roles": ["admin"]}, None),
        (None, {"roles": ["opdex:king"]}, None),
        (None, {"roles": {"opdex:admin": True}}, None),
        (None, {}, None),
        ("scope", {"scope": "openid opdex:reader opdex:editor"}, "editor"),
        ("realm_access.roles", {"realm_access": {"roles": ["opdex:admin"]}}, "admin"),
        ("realm_access.roles", {"realm_access": ["opdex:admin"]}, None),
        ("https://opdex.example/roles", {"https://opdex.example/roles": ["opdex:reader"]}, "reader"),
    ],
)
def test_role_is_what_the_claim_names(
    provider: OpenIdProvider, settings: AuthorizerSettings, verifier: TokenVerifier,
    name: str | None, claims: dict[str, Any], role: str | None,
) -> None:  # fmt: skip
    told = settings.model_copy(update={"token_role_claim": name})
    assert TokenVerifier(told, verifier._keys).verify(provider.token(**claims)).role == role


def test_nothing_is_said_of_a_token_when_the_keys_cannot_be_fetched(
    provider: OpenIdProvider, verifier: TokenVerifier
) -> None:
    token = provider.token()
    provider.server.serve(provider.keys_path, status=500)
    with pytest.raises(TokenKeysUnavailable):
        verifier.verify(token)


def test_any_text_at_all_is_refused(provider: OpenIdProvider, verifier: TokenVerifier) -> None:
    parts = st.one_of(
        st.text(max_size=30),
        st.dictionaries(
            st.sampled_from(["alg", "kid", "typ", "crit", "b64", "exp", "aud", "iss"]),
            st.one_of(st.sampled_from(["RS256", "ES256", "none", "rsa"]), st.integers(), st.none(), st.floats()),
        ).map(part),
    )

    @settings(derandomize=True, database=None, deadline=None, max_examples=300)
    @given(st.lists(parts, max_size=4).map(".".join))
    def ask(token: str) -> None:
        with pytest.raises(Unauthenticated):
            verifier.verify(token)

    ask()
