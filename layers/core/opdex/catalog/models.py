"""Catalogs and specs as a client sees them (the shapes of the HTTP contract)."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from opdex.timestamps import Timestamp

CATALOG_ID_PATTERN = "^[a-z0-9-]{1,100}$"
SPEC_NAME_PATTERN = "^[a-z0-9_-]{1,64}$"


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, defer_build=True)


class Catalog(_Row):
    """A named set of OpenAPI documents."""

    id: str
    name: str
    version: str
    display_name: str
    description: str
    created_at: Timestamp
    updated_at: Timestamp
    spec_count: int
    operation_count: int


class SpecJob(_Row):
    """The newest job of a spec."""

    id: int
    status: str


class DocumentWarning(_Row):
    """What was repaired or skipped in a document, and where (a JSON pointer)."""

    code: str
    message: str
    pointer: str


class SpecWebhook(_Row):
    """A request that the API makes itself: it is listed, and neither counted nor found as an operation."""

    name: str
    method: str
    operation_id: str
    summary: str
    deprecated: bool


class Spec(_Row):
    """One document of a catalog, at its current revision; ``embedding_count`` counts what search uses now.

    ``warning_count`` counts all warnings, also where only the first ones are shown. ``last_fetch_error`` says why the
    newest refresh from ``source_url`` brought nothing; it is gone with the next one that succeeds.
    """

    catalog_id: str
    spec_name: str
    source_kind: str
    source_url: str | None
    base_path: str
    title: str
    openapi_version: str
    revision: int
    content_sha256: str
    bytes: int
    operation_count: int
    embedding_count: int
    created_at: Timestamp
    updated_at: Timestamp
    last_fetched_at: Timestamp | None
    refresh_every_hours: int = 0
    next_refresh_at: Timestamp | None = None
    last_fetch_error: str | None = None
    last_fetch_error_code: str | None = None
    last_fetch_failed_at: Timestamp | None = None
    warnings: list[DocumentWarning]
    warning_count: int = 0
    webhooks: list[SpecWebhook] = []
    webhook_count: int = 0
    job: SpecJob | None

    @model_validator(mode="before")
    @classmethod
    def _count_warnings(cls, values: dict[str, Any]) -> dict[str, Any]:
        return {"warning_count": len(values["warnings"]), **values}


class ListedOperation(_Row):
    """One operation of a spec; ``operation_id`` is the document's, or "METHOD /path"."""

    operation_id: str
    method: str
    path: str
    summary: str
    description: str
    tags: list[str]
    deprecated: bool
    spec_name: str
    catalog_id: str


class Changes(_Row):
    """How the operations of an upload differ from those of the revision before it, in operations."""

    added: int
    changed: int
    removed: int
    unchanged: int


class Upload(_Row):
    """What an upload did. ``job_id`` is the job that must be woken, None where none is needed."""

    spec: Spec
    created: bool
    changes: Changes
    job_id: int | None


@dataclass(frozen=True, slots=True)
class Link:
    """Where a document was fetched, and what the server said of it, to be asked later whether that still holds."""

    source_url: str
    etag: str | None
    last_modified: str | None
