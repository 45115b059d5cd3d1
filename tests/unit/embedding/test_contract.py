import math
import subprocess
import sys

import pytest

from opdex.embedding import checked, make_embedder
from opdex.errors import ConfigurationError, ProviderMisbehaved, ProviderUnavailable
from opdex.settings import EmbeddingSettings


def test_checked_scales_to_length_one_when_vectors_are_usable() -> None:
    assert checked([[3.0, 4.0], [0, -2]], ["a", "b"]) == [[0.6, 0.8], [0.0, -1.0]]


@pytest.mark.parametrize(
    ("vectors", "complaint"),
    [
        ([[1.0]], "sent 2 texts and answered 1 vectors"),
        ([[1.0], [1.0], [1.0]], "answered 3 vectors"),
        (None, "answered NoneType vectors"),
        ([[1.0, 1.0], [1.0]], "vector 1 has 1 dimensions instead of 2"),
        ([[1.0], [math.nan]], "vector 1 holds NaN"),
        ([[math.inf], [1.0]], "vector 0 holds NaN or infinity"),
        ([[1.0], [0.0]], "vector 1 is all zeros"),
        ([[1.0], []], "vector 1 is no list of numbers"),
        ([[1.0], None], "vector 1 is no list of numbers"),
        ([["1"], [1.0]], "vector 0 is no list of numbers"),
        ([[10**400], [1.0]], "vector 0 is no list of numbers"),
    ],
)
def test_checked_raises_when_vectors_are_not_one_usable_vector_a_text(vectors: object, complaint: str) -> None:
    with pytest.raises(ProviderMisbehaved, match=complaint):
        checked(vectors, ["a", "b"])


def test_checked_raises_when_the_dimension_is_not_the_models() -> None:
    with pytest.raises(ProviderMisbehaved, match="has 2 dimensions instead of 3"):
        checked([[1.0, 1.0]], ["a"], dimension=3)


def test_make_embedder_names_the_default_models_when_none_is_configured() -> None:
    assert make_embedder(EmbeddingSettings()).identity == ("minilm", "all-MiniLM-L6-v2")
    assert make_embedder(EmbeddingSettings(embedding_provider="ollama")).identity == ("ollama", "nomic-embed-text")


@pytest.mark.usefixtures("secrets")
def test_provider_is_unavailable_when_its_key_cannot_be_read() -> None:
    missing = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:missing"
    embedder = make_embedder(EmbeddingSettings(embedding_provider="ollama", embedding_secret_arn=missing))
    with pytest.raises(ProviderUnavailable, match="key cannot be read"):
        embedder.probe()


def test_make_embedder_raises_when_minilm_is_given_another_model() -> None:
    with pytest.raises(ConfigurationError, match="EMBEDDING_MODEL must be empty or all-MiniLM-L6-v2"):
        make_embedder(EmbeddingSettings(embedding_model="bge-small"))


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "127.0.0.1:11434", "http://", "file:///etc/passwd", "http://[::1"])
def test_make_embedder_raises_when_the_url_is_not_http(url: str) -> None:
    with pytest.raises(ConfigurationError, match="EMBEDDING_URL must be an http:// or https:// URL"):
        make_embedder(EmbeddingSettings(embedding_provider="ollama", embedding_url=url))


def test_make_embedder_loads_neither_the_model_nor_an_http_client_when_minilm_is_chosen() -> None:
    code = (
        "import sys; from opdex.embedding import make_embedder; from opdex.settings import EmbeddingSettings;"
        "make_embedder(EmbeddingSettings(embedding_provider='minilm')).identity;"
        "print({'numpy', 'onnxruntime', 'tokenizers', 'httpx'} & set(sys.modules))"
    )
    environment = {"PYTHONPATH": ":".join(sys.path)}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    assert run.stdout == b"set()\n"
