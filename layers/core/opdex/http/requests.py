"""What clients send: path and query parameters, and JSON bodies."""

from typing import Annotated, Literal

from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, StringConstraints

CATALOG_ID_PATTERN = "^[a-z0-9-]{1,100}$"
SPEC_NAME_PATTERN = "^[a-z0-9_-]{1,64}$"
LARGEST_BIGINT = 2**63 - 1


def without_nul(text: str) -> str:
    """Return the text. Raises ValueError where it has a NUL."""
    # Postgres stores every character but this one.
    if "\0" in text:
        raise ValueError("must not contain the character NUL")
    return text


_Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1), AfterValidator(without_nul)]
_Free = Annotated[str, AfterValidator(without_nul)]

CatalogId = Annotated[str, Path(pattern=CATALOG_ID_PATTERN, description="The catalog's id.")]
SpecName = Annotated[str, Path(pattern=SPEC_NAME_PATTERN, description="The spec's name within its catalog.")]
JobId = Annotated[int, Path(ge=1, le=LARGEST_BIGINT, description="The embedding job's id.")]
KeyId = Annotated[_Free, Path(max_length=100, description="The key's id.")]

Limit = Annotated[int, Query(ge=1, le=500, description="How many to return at most.")]
Cursor = Annotated[
    str | None, Query(max_length=500, description="`next` of the page before; leave out for the first page.")
]
BasePath = Annotated[
    _Free | None,
    Query(max_length=500, description="The base path of the operations, in place of the document's own."),
]


class CatalogDraft(BaseModel):
    """A new catalog."""

    id: Annotated[str, Field(pattern=CATALOG_ID_PATTERN, description="A slug, unique for good.")]
    name: Annotated[_Line, Field(max_length=200)]
    version: Annotated[_Line, Field(max_length=50, description="Free text; (name, version) is unique.")]
    display_name: Annotated[_Free, Field(max_length=200)] | None = None
    description: Annotated[_Free, Field(max_length=10_000)] | None = None


class InlineDocument(BaseModel):
    """A spec whose document is sent along as text."""

    source_kind: Literal["inline"]
    content: Annotated[str, Field(description="The OpenAPI document, JSON or YAML.")]
    base_path: Annotated[_Free, Field(max_length=500)] | None = None


class KeyDraft(BaseModel):
    """A new API key."""

    name: Annotated[_Line, Field(max_length=200)]
    role: Literal["reader", "editor", "admin"]
    expires_at: Annotated[AwareDatetime, Field(description="RFC 3339, with its offset from UTC.")] | None = None
