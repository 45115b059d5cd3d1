"""One settings class a function, read once at cold start from environment variables of the same (upper case) names."""

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
    database_secret_arn: str | None = None
    database_host: str | None = None
    database_port: int = Field(default=5432, ge=1, le=65535)
    database_name: str = "postgres"
    database_statement_seconds: float = Field(default=20.0, gt=0)  # shorter than a lease, and than the gateway waits
    database_prepares: bool = True  # off where a pooler hands out a connection anew for each transaction


class QueueSettings(Settings):
    """Where wake-ups go, and how many embed workers the stack has."""

    embed_queue_url: str
    workers: int = Field(default=1, ge=0)


class EmbeddingSettings(Settings):
    """Which provider embeds, and how long it may take. All times in seconds."""

    embedding_provider: Literal["minilm", "ollama"] = "minilm"
    embedding_model: str = ""
    embedding_url: str = ""
    embedding_secret_arn: str | None = None  # holds the provider's key, which goes along as a bearer token
    embedding_timeout_seconds: float = Field(default=120.0, gt=0)
    embedding_query_timeout_seconds: float = Field(default=2.0, gt=0)
    embedding_chunk_seconds: float = Field(default=5.0, gt=0)
    embedding_calls_in_flight: int | None = Field(default=None, ge=1, le=64)  # at most; None: the provider's own


class DocumentSettings(Settings):
    """The limits on a document that comes from outside."""

    max_document_bytes: int = Field(default=64 * 1024 * 1024, gt=0)  # unpacked
    max_document_depth: int = Field(default=200, gt=0)
    max_document_nodes: int = Field(default=2_000_000, gt=0)
    max_document_expansion: int = Field(default=2_000_000, gt=0)  # nodes that YAML aliases and references stand for
    max_document_seconds: float = Field(default=12.0, gt=0)
    max_document_text: int = Field(default=20_000_000, gt=0)  # characters that are kept of all operations
    max_operations: int = Field(default=50_000, gt=0)
    max_archive_files: int = Field(default=5_000, gt=0)
    max_archive_ratio: int = Field(default=200, gt=0)  # of what is unpacked to what was sent


class FetchSettings(Settings):
    """How documents are fetched from their URLs. All times in seconds."""

    fetch_seconds: float = Field(default=10.0, gt=0, le=15)  # in all; the gateway waits 29 s, reading is to follow
    fetch_connect_seconds: float = Field(default=3.0, gt=0)
    fetch_loopback: bool = False  # also from this machine, and without TLS: only where everything runs on it


class AccessSettings(Settings):
    """Whom the gateway lets through, and which roles a token's claim names."""

    api_authorization: Literal["none", "iam", "cognito", "jwt"] = "none"
    token_role_claim: str | None = None  # None: `cognito:groups` of a Cognito token, `roles` of any other
    token_role_prefix: str = "opdex:"  # noqa: S105 - before the name of a role, as in opdex:admin


class ApiSettings(DatabaseSettings, QueueSettings, EmbeddingSettings, DocumentSettings, FetchSettings, AccessSettings):
    """ApiFunction."""


class AuthorizerSettings(AccessSettings):
    """AuthorizerFunction: which tokens are good. Plain http is for a provider on this machine alone."""

    token_issuer: Annotated[str, Field(pattern=HTTPS)]
    token_audience: str  # several are separated by commas; a token needs one of them
    token_keys_url: Annotated[str | None, Field(pattern=HTTPS)] = None  # None: what the issuer's own description names
    token_keys_seconds: float = Field(default=3600.0, gt=0)  # how long fetched keys are used


class EmbedSettings(DatabaseSettings, QueueSettings, EmbeddingSettings):
    """EmbedFunction: leases and slices. All times in seconds."""

    lease_seconds: float = Field(default=30.0, gt=0)
    heartbeat_seconds: float = Field(default=8.0, gt=0)
    max_attempts: int = Field(default=5, ge=1)
    max_idle_slices: int = Field(default=3, ge=1)
    held_up_limit_seconds: float = Field(default=24 * 3600.0, gt=0)
    make_room_seconds: float = Field(default=5.0, gt=0)  # how long a slice keeps shorter jobs waiting


class AdminKeySettings(Settings):
    """Which secret holds the first admin key, as plain text."""

    admin_key_secret_arn: str | None = None


class SweepSettings(
    DatabaseSettings, QueueSettings, EmbeddingSettings, DocumentSettings, FetchSettings, AdminKeySettings
):
    """SweepFunction."""

    max_attempts: int = Field(default=5, ge=1)
    retention_days: int = Field(default=14, ge=1)
    audit_retention_days: int = Field(default=365, ge=1)


class MigrateSettings(DatabaseSettings, AdminKeySettings):
    """MigrateFunction."""

    database_statement_seconds: float = Field(default=600.0, gt=0)  # a migration may rewrite a large table
    database_wait_seconds: float = Field(default=120.0, ge=0)  # for one that is paused, or still being made
