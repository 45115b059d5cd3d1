"""What clients send: path and query parameters, and JSON bodies."""

import re
import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Literal

from aws_lambda_powertools.event_handler.openapi.params import Body, Path, Query
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from opdex.catalog.models import CATALOG_ID_PATTERN, SPEC_NAME_PATTERN

NOT_BLANK = r"\S"
_DIGITS = re.compile(r"-?[0-9]{1,19}", re.ASCII)
LARGEST_BIGINT = 2**63 - 1
# Python's last year is 9999, and a moment may be read in any time zone.
_TOO_LATE = datetime(9999, 1, 1, tzinfo=UTC)


def encodable(text: str) -> str:
    """Return the text. Raises ValueError where it has half a surrogate pair, which no encoding can carry."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("must not contain half of a surrogate pair")
    return text


def storable(text: str) -> str:
    """Return the text. Raises ValueError where Postgres could not store it."""
    if "\0" in text:
        raise ValueError("must not contain the character NUL")
    return encodable(text)


def printable(text: str) -> str:
    """Return the text. Raises ValueError where it has a control character or a line break."""
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in text):
        raise ValueError("must not contain control characters")
    return text


def in_digits(number: object) -> object:
    """Return the number. Raises ValueError where it is not written in digits alone, as Python would also take it."""
    if isinstance(number, str) and not _DIGITS.fullmatch(number):
        raise ValueError("must be a whole number, written in digits")
    return number


def written_out(moment: object) -> object:
    """Return the moment. Raises ValueError where it is a number: nobody would see of what, and in which unit."""
    if not isinstance(moment, str) or not moment[:4].isdigit() or moment[4:5] != "-":
        raise ValueError("must be written as in 2030-01-31T00:00:00Z")
    return moment


def yet_to_come(moment: datetime) -> datetime:
    """Return the moment. Raises ValueError where it has passed, or is past all calendars."""
    if moment <= datetime.now(UTC):
        raise ValueError("must lie in the future")
    if moment >= _TOO_LATE:
        raise ValueError("must lie before the year 9999; leave it out for a key that does not expire")
    return moment


_Free = Annotated[str, AfterValidator(storable)]
_Path = Annotated[str, StringConstraints(max_length=500), AfterValidator(printable)]
_Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=NOT_BLANK),
    AfterValidator(storable),
]
_Version = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=50, pattern=NOT_BLANK),
    AfterValidator(storable),
]
_DisplayName = Annotated[str, StringConstraints(max_length=200), AfterValidator(storable)]
_Description = Annotated[str, StringConstraints(max_length=10_000), AfterValidator(storable)]

CatalogId = Annotated[str, Path(pattern=CATALOG_ID_PATTERN, description="The catalog's id.")]
SpecName = Annotated[str, Path(pattern=SPEC_NAME_PATTERN, description="The spec's name within its catalog.")]
JobId = Annotated[int, BeforeValidator(in_digits), Path(ge=1, le=LARGEST_BIGINT, description="The embedding job's id.")]
KeyId = Annotated[_Free, Path(max_length=100, description="The key's id.")]

Limit = Annotated[int, BeforeValidator(in_digits), Query(ge=1, le=500, description="How many to return at most.")]
SpecLimit = Annotated[
    int | None,
    BeforeValidator(in_digits),
    Query(ge=1, le=500, description="How many to return at most; left out, as many as fit into an answer."),
]
Cursor = Annotated[
    str | None, Query(max_length=500, description="`next` of the page before; leave out for the first page.")
]
BasePath = Annotated[
    _Path | None,
    Query(description="The base path of the operations, in place of the document's own."),
]

Entry = Annotated[
    _Path | None,
    Query(description="For a zip: the path of the file in it that the document begins in."),
]


class _Body(BaseModel):
    model_config = ConfigDict(defer_build=True)  # as the answers


class CatalogDraft(_Body):
    """A new catalog."""

    id: Annotated[str, Field(pattern=CATALOG_ID_PATTERN, description="A slug, unique for good.")]
    name: _Name
    version: Annotated[_Version, Field(description="Free text; (name, version) is unique.")]
    display_name: _DisplayName | None = None
    description: _Description | None = None


class CatalogChanges(_Body):
    """What is to change of a catalog; what is left out, or null, stays."""

    id: Annotated[str | None, Field(description="May be sent along, but not changed.")] = None
    name: _Name | None = None
    version: Annotated[_Version | None, Field(description="Free text; (name, version) is unique.")] = None
    display_name: _DisplayName | None = None
    description: _Description | None = None


class InlineDocument(_Body):
    """A spec whose document is sent along as text."""

    source_kind: Literal["inline"]
    content: Annotated[str, AfterValidator(encodable), Field(description="The OpenAPI document, JSON or YAML.")]
    base_path: _Path | None = None


class LinkedDocument(_Body):
    """A spec whose document is fetched from its URL, now and at each refresh."""

    source_kind: Literal["url"]
    source_url: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=2000, pattern=NOT_BLANK),
        AfterValidator(storable),
        Field(description="Where the document is: https, at port 443 of a public address. Readers see it."),
    ]
    base_path: _Path | None = None


SentDocument = Annotated[InlineDocument | LinkedDocument, Body(discriminator="source_kind")]


class RefreshSchedule(_Body):
    """How often a spec is refreshed from its URL."""

    every_hours: Annotated[int, Field(strict=True, ge=0, le=720, description="0 is off.")]


class KeyDraft(_Body):
    """A new API key."""

    name: _Name
    role: Literal["reader", "editor", "admin"]
    expires_at: (
        Annotated[
            AwareDatetime,
            BeforeValidator(written_out),
            AfterValidator(yet_to_come),
            Field(description="RFC 3339, with its offset from UTC, and in the future."),
        ]
        | None
    ) = None
