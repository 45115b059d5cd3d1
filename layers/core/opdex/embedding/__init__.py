"""From operation texts to vectors: the Embedder contract, its providers, and the size of chunks."""

from collections.abc import Callable

from opdex.embedding.contract import BatchLimits, Embedder, ModelIdentity, Vector, checked
from opdex.embedding.pace import Pace
from opdex.errors import ConfigurationError, ProviderUnavailable, SecretUnavailable
from opdex.secrets import read_secret
from opdex.settings import EmbeddingSettings

__all__ = ["BatchLimits", "Embedder", "ModelIdentity", "Pace", "Vector", "checked", "make_embedder"]


def make_embedder(settings: EmbeddingSettings) -> Embedder:
    """Return the embedder that the settings choose; nothing is loaded or called yet. Raises ConfigurationError."""
    match settings.embedding_provider:
        case "minilm":
            from opdex.embedding.minilm import MODEL, MiniLmEmbedder

            if settings.embedding_model not in ("", MODEL):
                raise ConfigurationError(
                    f"EMBEDDING_MODEL must be empty or {MODEL} where EMBEDDING_PROVIDER is minilm."
                )
            return MiniLmEmbedder()
        case "ollama":
            from opdex.embedding.ollama import DEFAULT_MODEL, DEFAULT_URL, OllamaEmbedder

            return OllamaEmbedder(
                url=settings.embedding_url or DEFAULT_URL,
                model=settings.embedding_model or DEFAULT_MODEL,
                query_timeout=settings.embedding_query_timeout_seconds,
                key=_key_reader(settings.embedding_secret_arn),
            )


def _key_reader(secret_arn: str | None) -> Callable[[], str] | None:
    if secret_arn is None:
        return None

    def read() -> str:
        try:
            return read_secret(secret_arn).strip()
        except SecretUnavailable as error:
            raise ProviderUnavailable("The embedding provider's key cannot be read.", **error.details) from error

    return read
