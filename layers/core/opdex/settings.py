"""One settings class a function, read once at cold start from environment variables of the same (upper case) names.

What stands below a field is its row in docs/configuration.md, which `make docs` writes.
"""

import os
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from opdex.errors import ConfigurationError

HTTPS = r"^(https://|http://(127\.0\.0\.1|localhost)[:/])"


class Settings(BaseModel):
    """What every function reads. Build with :meth:`read`, which names what is missing."""

    model_config = ConfigDict(frozen=True, defer_build=True)  # of all these classes a function needs one

    @classmethod
    def read(cls, **overrides: Any) -> Self:
        """Return the settings of this environment; an empty variable is as good as none.

        Raises ConfigurationError naming each variable that is off.
        """
        variables = {name: os.environ.get(name.upper()) for name in cls.model_fields}
        try:
            return cls(**{name: value for name, value in variables.items() if value} | overrides)
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
            raise ConfigurationError(f"Set these environment variables: {wrong}.") from None


class DatabaseSettings(Settings):
    """Where Postgres is: a URL, or the ARN of a Secrets Manager secret that holds one or RDS's JSON.

    Host, port and name count where that JSON lacks them: a secret that RDS itself keeps has the login alone.
    """

    database_url: SecretStr | None = None
    """A `postgresql://` URL, for one machine and tests; a stack has a secret."""
    database_secret_arn: str | None = None
    """The secret with a URL, or with `username`, `password`, `host`, `port` and `dbname`; read again after a minute."""
    database_host: str | None = None
    """The server, where the secret does not say."""
    database_port: int = Field(default=5432, ge=1, le=65535)
    """Its port, where the secret does not say."""
    database_name: str = "postgres"
    """The database, where the secret does not say."""
    database_statement_seconds: float = Field(default=20.0, gt=0)
    """How long an unanswered statement is waited for; shorter than a lease, and than the gateway waits."""
    database_prepares: bool = True
    """Prepared statements; false behind a pooler that hands out a connection anew for each transaction."""


class WorkerSettings(Settings):
    """How many embed workers the stack has."""

    workers: int = Field(default=1, ge=0)
    """How many embed workers there are: more wake-ups are not worth sending at once; 0 is paused."""


class QueueSettings(WorkerSettings):
    """Where wake-ups go."""

    embed_queue_url: str
    """The queue of wake-ups."""


class EmbeddingSettings(Settings):
    """Which provider embeds, and how long it may take."""

    embedding_provider: Literal["minilm", "ollama"] = "minilm"
    """The provider: a model inside the function, or a server at EMBEDDING_URL."""
    embedding_model: str = ""
    """The provider's name of the model; empty for its default."""
    embedding_url: str = ""
    """Where the provider listens; empty for its default, unused by minilm."""
    embedding_secret_arn: str | None = None
    """The secret that holds the provider's key, which goes along as a bearer token."""
    embedding_timeout_seconds: float = Field(default=120.0, gt=0)
    """How long one call with texts to index may take."""
    embedding_query_timeout_seconds: float = Field(default=2.0, gt=0)
    """How long the embedding of a search query may take; after that the answer is lexical, with a note."""
    embedding_chunk_seconds: float = Field(default=5.0, gt=0)
    """How long a call should take; texts a call follow from the measured speed."""
    embedding_calls_in_flight: int | None = Field(default=None, ge=1, le=64)
    """Calls at once, at most; none for the provider's own (minilm 1, ollama 5)."""


class DocumentSettings(Settings):
    """The limits on a document that comes from outside. An error that one causes names it, with its value."""

    max_document_bytes: int = Field(default=64 * 1024 * 1024, gt=0)
    """Its size, unpacked."""
    max_document_depth: int = Field(default=200, gt=0)
    """Levels of nesting."""
    max_document_nodes: int = Field(default=2_000_000, gt=0)
    """Values in it, as they are written."""
    max_document_expansion: int = Field(default=2_000_000, gt=0)
    """Values that its YAML aliases and references stand for, counted each time."""
    max_document_seconds: float = Field(default=12.0, gt=0)
    """How long reading it may take; the gateway waits 29 s for all."""
    max_document_text: int = Field(default=20_000_000, gt=0)
    """Characters of paths, ids, tags, summaries and descriptions that are kept of all its operations together."""
    max_operations: int = Field(default=50_000, gt=0)
    """Operations and webhooks in it."""
    max_archive_files: int = Field(default=5_000, gt=0)
    """Files in a zip."""
    max_archive_ratio: int = Field(default=200, gt=0)
    """How many times larger a zip may be when unpacked."""


class FetchSettings(Settings):
    """How documents are fetched from their URLs."""

    fetch_seconds: float = Field(default=10.0, gt=0, le=15)
    """How long a fetch may take in all; the gateway waits 29 s, and reading is to follow."""
    fetch_connect_seconds: float = Field(default=3.0, gt=0)
    """How long a look-up of a name, or a connection, may take."""
    fetch_loopback: bool = False
    """Whether `http://127.0.0.1`, `[::1]` and `localhost` may be fetched from, at any port; for one machine alone."""


class AccessSettings(Settings):
    """Whom the gateway lets through, and which roles a token's claim names."""

    api_authorization: Literal["none", "iam", "cognito", "jwt"] = "none"
    """What the gateway asks for; what it says of a caller counts only in that mode."""
    token_role_claim: str | None = None
    """The claim of a token that names roles; none for `cognito:groups` of a Cognito token, `roles` of any other."""
    token_role_prefix: str = "opdex:"  # noqa: S105 - before the name of a role, as in opdex:admin
    """What stands before reader, editor or admin in that claim."""


class SearchSettings(DatabaseSettings, WorkerSettings, EmbeddingSettings, DocumentSettings, AccessSettings):
    """SearchFunction, and what else answers readers."""

    search_cache_bytes: int = Field(default=256 * 1024 * 1024, gt=0)
    """How much is held of what revisions were made into for search, and so the most that one search looks at, about
    1.1 KB an operation; and as much of vectors."""


class ApiSettings(SearchSettings, QueueSettings, FetchSettings):
    """ApiFunction."""


class AuthorizerSettings(AccessSettings):
    """AuthorizerFunction: which tokens are good. Plain http is for a provider on this machine alone."""

    token_issuer: Annotated[str, Field(pattern=HTTPS)]
    """Who issues the tokens, exactly as their `iss` says: an https address."""
    token_audience: str
    """The `aud` of which a token needs one; several are separated by commas."""
    token_keys_url: Annotated[str | None, Field(pattern=HTTPS)] = None
    """Where the issuer's keys (JWKS) are; none for what its own description names."""
    token_keys_seconds: float = Field(default=3600.0, gt=0)
    """How long an issuer's keys are used before they are fetched again."""


class EmbedSettings(DatabaseSettings, QueueSettings, EmbeddingSettings):
    """EmbedFunction: leases and slices."""

    lease_seconds: float = Field(default=30.0, gt=0)
    """How long a job is held without renewal."""
    heartbeat_seconds: float = Field(default=8.0, gt=0)
    """How often the lease is renewed during a call; shorter than the lease."""
    max_attempts: int = Field(default=5, ge=1)
    """Failures and crashes until a job fails."""
    max_idle_slices: int = Field(default=3, ge=1)
    """Slices in a row without a new vector that count as one failure."""
    held_up_limit_seconds: float = Field(default=24 * 3600.0, gt=0)
    """How long a job waits for a provider that does nothing but throttle, or is away."""
    make_room_seconds: float = Field(default=5.0, gt=0)
    """How long a slice keeps shorter jobs waiting."""


class AdminKeySettings(Settings):
    """Which secret holds the first admin key."""

    admin_key_secret_arn: str | None = None
    """The secret with the key as plain text; none for no such key."""


class SweepSettings(
    DatabaseSettings, QueueSettings, EmbeddingSettings, DocumentSettings, FetchSettings, AdminKeySettings
):
    """SweepFunction: what it takes back, and what it drops."""

    max_attempts: int = Field(default=5, ge=1)
    """Failures and crashes until a job fails."""
    retention_days: int = Field(default=14, ge=1)
    """How long finished jobs, replaced revisions and vectors of no further use are kept."""
    audit_retention_days: int = Field(default=365, ge=1)
    """How long the audit of changes is kept."""


class MigrateSettings(DatabaseSettings, DocumentSettings, AdminKeySettings):
    """MigrateFunction: a migration may rewrite a large table, of a database that is still waking."""

    database_statement_seconds: float = Field(default=600.0, gt=0)
    """How long an unanswered statement is waited for."""
    database_wait_seconds: float = Field(default=120.0, ge=0)
    """How long a database is waited for that is paused, or still being made."""
