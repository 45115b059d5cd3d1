"""What clients get, where it is more than the models of the packages below."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WrapSerializer

from opdex.catalog.models import Catalog, Changes, ListedOperation, Spec, Upload
from opdex.http.audit_store import Entry
from opdex.http.keys_store import Key
from opdex.jobs.models import EmbeddingStatus, Enqueued, Job


def _is_none(value: Any) -> bool:
    return value is None


# Without annotations on purpose: with a return type it would replace the model's schema in /openapi.json.
_only_what_is_known = WrapSerializer(lambda status, dump: {k: v for k, v in dump(status).items() if v is not None})

Next = Annotated[str | None, Field(exclude_if=_is_none, description="The cursor of the next page, where there is one.")]


class _Answer(BaseModel):
    model_config = ConfigDict(defer_build=True)  # built by the first request that needs it, not by a cold start


class Health(_Answer):
    """The service answers."""

    status: Literal["ok"] = "ok"


class CatalogPage(_Answer):
    """Catalogs by id."""

    catalogs: list[Catalog]
    next: Next = None


class SpecList(_Answer):
    """A catalog's specs by name, each with its first warnings; ``next`` is there where they are more, or do not fit."""

    specs: list[Spec]
    next: Next = None


class OperationPage(_Answer):
    """A spec's operations, in the document's order."""

    operations: list[ListedOperation]
    next: Next = None


class UploadAnswer(Spec):
    """The spec as stored, and how its operations differ from those of the revision before."""

    changes: Changes

    @classmethod
    def of(cls, upload: Upload) -> "UploadAnswer":
        """Return the answer to an upload."""
        return cls(**dict(upload.spec), changes=upload.changes)


class EmbeddingStatusPage(_Answer):
    """Where each spec stands; a field that is not known is absent."""

    specs: list[Annotated[EmbeddingStatus, _only_what_is_known]]
    next: Next = None


class JobPage(_Answer):
    """Embedding jobs, newest first."""

    jobs: list[Job]
    next: Next = None


class Queued(Enqueued):
    """A spec is embedded again."""

    status: Literal["queued"] = "queued"


class AllQueued(_Answer):
    """Specs are embedded again."""

    status: Literal["queued"] = "queued"
    jobs: list[Enqueued]


class Cancelled(_Answer):
    """The job was cancelled; its worker stops within one chunk."""

    job_id: int
    status: Literal["cancelled"] = "cancelled"


class ProviderStatus(_Answer):
    """The embedding provider; ``dimension`` is unknown until its first vector was written.

    ``paused``: there are no workers, so jobs wait.
    """

    kind: str
    model: str
    dimension: int | None
    status: Literal["ok", "unconfigured", "unreachable"]
    workers: int
    paused: bool


class AuditPage(_Answer):
    """Changes made over the API, newest first."""

    entries: list[Entry]
    next: Next = None


class KeyList(_Answer):
    """All keys, without the keys themselves."""

    keys: list[Key]
