"""What the tools take and give; the schemas that an agent sees are made of these."""

from functools import partial
from typing import Annotated, Any, Final

from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field, StringConstraints

from opdex.catalog.models import CATALOG_ID_PATTERN, SPEC_NAME_PATTERN
from opdex.mcp.excerpt import MOST_PLACE
from opdex.openapi.path_items import METHOD_PATTERN
from opdex.openapi.plain_text import storable

MOST_FOUND: Final = 50
_trimmed = partial(StringConstraints, strip_whitespace=True, min_length=1)
_storable = AfterValidator(storable)  # behind the lengths: one that follows a function is told in items
_Tag = Annotated[str, _trimmed(max_length=500), _storable]
_Place = Annotated[str, StringConstraints(min_length=1, max_length=MOST_PLACE), _storable]  # names may end in spaces
_CatalogId = Annotated[str, Field(pattern=CATALOG_ID_PATTERN, description="A catalog's id, such as `crm`.")]
_SpecName = Annotated[str, Field(pattern=SPEC_NAME_PATTERN, description="A spec's name within its catalog.")]


def _is_none(value: Any) -> bool:
    return value is None


_Next = Annotated[
    str | None,
    Field(exclude_if=_is_none, description="Pass it as `cursor` for the next page; absent on the last one."),
]

_MaxTokens = Annotated[
    int, Field(ge=500, le=20_000, description="About how long the answer may be; what exceeds it is left out.")
]


class _Arguments(BaseModel):
    # A misspelt argument is refused by name rather than left out in silence.
    model_config = ConfigDict(extra="forbid")


class SearchArguments(_Arguments):
    """What to search for, and where."""

    query: Annotated[
        str,
        _trimmed(max_length=1_000),
        _storable,
        Field(
            description="What the operation should do, in your own words, such as `cancel a subscription at the end "
            "of its period`. Several steps may stand in one query.",
        ),
    ]
    catalog: Annotated[_CatalogId | None, Field(description="Only in this catalog, by its id.")] = None
    spec: Annotated[_SpecName | None, Field(description="Only in specs of this name.")] = None
    method: Annotated[
        str | None, Field(pattern=METHOD_PATTERN, description="Only this HTTP method, such as GET or POST.")
    ] = None
    tag: Annotated[_Tag | None, Field(description="Only with this tag.")] = None
    deprecated: Annotated[bool | None, Field(description="true: only deprecated operations; false: none of them.")] = (
        None
    )
    limit: Annotated[int, Field(ge=1, le=MOST_FOUND, description="How many to return at most.")] = 10
    max_tokens: _MaxTokens = 8_000


class OperationArguments(_Arguments):
    """Which operation, and how much of it."""

    # Named as in what search_operations gives; what its own arguments are called is understood as well.
    catalog_id: Annotated[_CatalogId, Field(validation_alias=AliasChoices("catalog_id", "catalog"))]
    spec_name: Annotated[_SpecName, Field(validation_alias=AliasChoices("spec_name", "spec"))]
    operation_id: Annotated[
        str,
        _trimmed(max_length=2_100),
        _storable,
        Field(
            description="The `operation_id` from search_operations, or method and path, such as `GET /users/{id}`.",
        ),
    ]
    max_tokens: _MaxTokens = 4_000
    at: Annotated[
        _Place | None,
        Field(
            description="A place that an earlier answer named under `left_out`, or any other path of it, such as "
            "`/responses/200/content`: only what is there is shown.",
        ),
    ] = None


class CatalogArguments(_Arguments):
    """Which page of the catalogs."""

    limit: Annotated[int, Field(ge=1, le=100, description="How many to return at most.")] = 50
    cursor: Annotated[_CatalogId | None, Field(description="`next` of the page before.")] = None


class FoundOperation(BaseModel):
    """An operation that was found; its first three fields are what get_operation asks for."""

    catalog_id: str
    spec_name: str
    operation_id: str
    method: str
    path: str
    summary: str
    deprecated: bool
    score: Annotated[float, Field(description="From 0 to 1, comparable within this answer only.")]
    matched: Annotated[list[str], Field(description="What matched: the meaning, the words, or both.")]
    clause: Annotated[
        str | None, Field(exclude_if=_is_none, description="The step of the query that it does, of several.")
    ] = None
    needed_by: Annotated[
        str | None, Field(exclude_if=_is_none, description="The operation that needs what this one answers with.")
    ] = None


class FoundOperations(BaseModel):
    """Best first."""

    operations: list[FoundOperation]
    note: Annotated[
        str | None,
        Field(
            exclude_if=_is_none, description="Why the ranking is not by meaning; what was left out; if there are more."
        ),
    ] = None


class LeftOut(BaseModel):
    """What an answer had no room for."""

    at: Annotated[str, Field(description="Where: pass it as `at` to see it, or to go on where it was cut (`~start=`).")]
    what: str


class OperationExcerpt(BaseModel):
    """How to call an operation. `…` stands where something was left out."""

    catalog_id: str
    spec_name: str
    operation_id: str
    method: str
    path: Annotated[str, Field(description="Below `base_path`.")]
    base_path: str | None = None
    summary: str | None = None
    description: str | None = None
    tags: Any = None
    deprecated: bool | None = None
    parameters: Any = None
    request_body: Any = None
    produces: Annotated[Any, Field(description="Media types of the responses, where those do not say.")] = None
    responses: Any = None
    part: Annotated[Any, Field(description="What is at the place that was asked for.")] = None
    left_out: list[LeftOut]
    left_out_unnamed: Annotated[
        int | None,
        Field(description="How many more there are, with no room to name them. The place of each is its path."),
    ] = None


class ListedCatalog(BaseModel):
    """A named set of OpenAPI documents, which are called specs."""

    id: str
    name: str
    version: str
    description: str
    spec_count: int
    operation_count: int


class CatalogPage(BaseModel):
    """Catalogs by id."""

    catalogs: list[ListedCatalog]
    next: _Next = None
