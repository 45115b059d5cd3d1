"""The tools that agents are offered: what each says of itself, and what it does."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import accumulate, takewhile
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from opdex.catalog.documents import content_of_revision, find_operation
from opdex.catalog.models import Catalog
from opdex.catalog.store import get_catalog, get_spec, list_catalogs, require_spec_name
from opdex.database import Connection, Transactions
from opdex.errors import (
    CatalogNotFound,
    NotFound,
    OpdexError,
    OperationNotFound,
    SpecNotFound,
)
from opdex.mcp.excerpt import Part, excerpt, find_part, json_bytes
from opdex.mcp.interface import interface
from opdex.mcp.models import (
    MOST_FOUND,
    CatalogArguments,
    CatalogPage,
    FoundOperation,
    FoundOperations,
    ListedCatalog,
    OperationArguments,
    OperationExcerpt,
    SearchArguments,
)
from opdex.mcp.parsed_documents import ParsedDocuments
from opdex.openapi.limits import Limits
from opdex.openapi.plain_text import cut, on_one_line
from opdex.search import FoundOperation as SearchedOperation
from opdex.search import SearchAnswer, SearchRequest

type Search = Callable[[SearchRequest], SearchAnswer]

# A low estimate for JSON in English: an answer is rather shorter than was asked for than longer.
BYTES_A_TOKEN: Final = 3
_ENVELOPE_BYTES: Final = 250  # of a list's answer: what is not its entries or a note of the search
_SHORT: Final = 300  # characters that a list says of each of its entries
_IDENTITY: Final = ("catalog_id", "spec_name", "operation_id", "method", "path")
_SAID: Final = ("base_path", "summary", "description", "tags", "deprecated")

# What an agent can do about an error, beyond what its message says.
_ADVICE: Final[dict[type[OpdexError], str]] = {
    CatalogNotFound: "list_catalogs gives the ids that there are.",
    SpecNotFound: "search_operations gives the spec of each operation that it finds.",
    OperationNotFound: "search_operations gives the id of each operation that it finds.",
}


class ToolFailed(Exception):
    """A call that came to nothing; the message tells the agent what to do."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool: what it is for, what it takes and gives, and the function that does it."""

    name: str
    title: str
    description: str
    arguments: type[BaseModel]
    result: type[BaseModel]
    run: Callable[[Any], BaseModel | dict[str, Any]]

    def call(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the result as JSON has it. Raises ToolFailed."""
        try:
            result = self.run(self.arguments.model_validate(arguments))
        except ValidationError as error:
            raise ToolFailed(_refusal(error)) from None
        except OpdexError as error:
            raise ToolFailed(" ".join(filter(None, (error.message, _ADVICE.get(type(error)))))) from error
        return result if isinstance(result, dict) else result.model_dump(mode="json")


def make_tools(database: Transactions, search: Search, limits: Limits) -> list[Tool]:
    """Return the tools over what is stored in the database; ``limits`` are those on a document."""
    documents = ParsedDocuments(limits)

    def search_operations(asked: SearchArguments) -> FoundOperations:
        answer = search(_request(asked))
        if not answer.operations:
            with database.transaction() as connection:
                _require(connection, asked.catalog, asked.spec)
        return _shown(answer, asked.max_tokens * BYTES_A_TOKEN)

    def get_operation(asked: OperationArguments) -> dict[str, Any]:
        with database.transaction() as connection:
            found = find_operation(connection, asked.catalog_id, asked.spec_name, asked.operation_id)
            document = documents.get(found.content_sha256, lambda: content_of_revision(connection, found))
        written = document.operation(found.operation.method, found.operation.path, found.position)
        if written is None:
            raise OperationNotFound("This operation is not in its document as it is read now: upload that again.")
        references = documents.references(document)
        said = found.operation.model_dump() | {"base_path": found.base_path}
        parts = [*_texts(said, (*_IDENTITY, *_SAID)), *interface(document.node, written.item, written.node, references)]
        if asked.at is not None:
            part = find_part(parts, asked.at, references.resolve)
            if part is None:
                raise NotFound(f"Nothing is at {asked.at!r}; take a place from `left_out` of this operation.")
            parts = [*_texts(said, _IDENTITY), part._replace(name="part")]
        return excerpt(parts, references.resolve, asked.max_tokens * BYTES_A_TOKEN)

    def catalogs(asked: CatalogArguments) -> CatalogPage:
        with database.transaction() as connection:
            found = list_catalogs(connection, asked.limit + 1, asked.cursor)
        shown = found[: asked.limit]
        return CatalogPage(
            catalogs=[_listed(catalog) for catalog in shown],
            next=shown[-1].id if len(found) > len(shown) else None,
        )

    return [
        Tool(
            "search_operations",
            "Search API operations",
            "Find HTTP API operations by what they do, in all catalogs or in one. Describe the task, not the name: "
            "meaning and words are both searched. Returns the best first, each with the `catalog_id`, `spec_name` and "
            "`operation_id` that get_operation takes. The answer keeps to `max_tokens`, but for a first one that is "
            "longer; `note` counts what had no room, and tells whether there are more. Call it again in other words "
            "if nothing fits.",
            SearchArguments,
            FoundOperations,
            search_operations,
        ),
        Tool(
            "get_operation",
            "Read an API operation",
            "Read how to call one operation: its parameters, request body and responses, with all references "
            "resolved; a schema within itself is shown once. The answer keeps to `max_tokens`: upper levels come "
            "first, `…` stands for what had no room, and `left_out` names such places. Call again with one of "
            "these as `at` to see that part or its rest, or with more tokens. Extensions (x-…) are not shown.",
            OperationArguments,
            OperationExcerpt,
            get_operation,
        ),
        Tool(
            "list_catalogs",
            "List API catalogs",
            "List the catalogs, each a named set of OpenAPI documents, to know what can be searched or to keep a "
            "search to one. Page by page: pass `next` as `cursor`.",
            CatalogArguments,
            CatalogPage,
            catalogs,
        ),
    ]


def _request(asked: SearchArguments) -> SearchRequest:
    return SearchRequest(
        q=asked.query,
        catalogs=(asked.catalog,) if asked.catalog else (),
        specs=(asked.spec,) if asked.spec else (),
        method=asked.method,
        tag=asked.tag,
        deprecated=asked.deprecated,
        limit=asked.limit,
    )


def _require(connection: Connection, catalog: str | None, spec: str | None) -> None:
    """Raise CatalogNotFound or SpecNotFound for what is not there: a misspelt name must not read as nothing found."""
    if catalog and spec:
        get_spec(connection, catalog, spec)
    elif catalog:
        get_catalog(connection, catalog)
    elif spec:
        require_spec_name(connection, spec)


def _shown(answer: SearchAnswer, max_bytes: int) -> FoundOperations:
    found = [_found(operation) for operation in answer.operations]
    shown = _fitting(found, max_bytes - json_bytes(answer.note) - _ENVELOPE_BYTES)
    notes = [answer.note] if answer.note else []
    if len(shown) < len(found):
        notes.append(f"The last {len(found) - len(shown)} of {len(found)} found have no room in `max_tokens`.")
    if answer.has_more:
        notes.append(f"There are more: raise `limit` ({MOST_FOUND} at most), or narrow the search.")
    return FoundOperations(operations=shown, note=" ".join(notes) or None)


def _found(operation: SearchedOperation) -> FoundOperation:
    said = operation.model_dump(include=set(FoundOperation.model_fields))
    said["summary"] = cut(on_one_line(operation.summary or operation.description), _SHORT)
    if operation.clause is not None:
        said["clause"] = cut(operation.clause, _SHORT)
    return FoundOperation(**said)


def _fitting(operations: list[FoundOperation], max_bytes: int) -> list[FoundOperation]:
    """Return as many of the first as fit, and one at least: paths and ids are not cut, for they are asked by."""
    sizes = accumulate(json_bytes(operation.model_dump(mode="json")) + 1 for operation in operations)
    return operations[: max(1, sum(1 for _ in takewhile(lambda size: size <= max_bytes, sizes)))]


def _listed(catalog: Catalog) -> ListedCatalog:
    said = catalog.model_dump(include=set(ListedCatalog.model_fields))
    return ListedCatalog(**said | {"description": cut(on_one_line(catalog.description), _SHORT)})


def _texts(said: dict[str, Any], names: Iterable[str]) -> list[Part]:
    """Return what is said under these names as parts, without what says nothing."""
    return [Part(name, (name,), said[name], "data") for name in names if said[name] not in ("", [], False)]


def _refusal(error: ValidationError) -> str:
    problems = (f"{'.'.join(map(str, problem['loc'])) or 'arguments'}: {problem['msg']}" for problem in error.errors())
    return f"The arguments are not usable; correct them and call again. {'; '.join(problems)}."
