"""A document whose operations need each other, with names that only segments know."""

import json
from typing import Any

_BOOKS = {"properties": {"data": {"type": "array", "items": {"$ref": "#/components/schemas/Book"}}}}
_ISBN = {"name": "isbnPrefix", "in": "query", "description": "Begins like this."}
_PATHS: dict[str, dict[str, Any]] = {
    "/books": {
        "get": {"operationId": "listBooks", "summary": "List all titles", "parameters": [_ISBN], "tags": ["Shelf"]},
        "post": {"operationId": "addBook", "summary": "Add a title", "tags": ["Shelf"]},
    },
    "/books/{bookId}": {"delete": {"operationId": "removeBook", "summary": "Throw it away", "deprecated": True}},
    "/members": {"get": {"operationId": "listMembers", "summary": "List the readers"}},
    "/members/{memberId}/fines": {"post": {"operationId": "fineMember", "summary": "Charge somebody for a delay"}},
    "/opening-hours": {"get": {"summary": "When it is open"}},
}


def library() -> bytes:
    """Return the document."""
    components = {"schemas": {"Book": {"properties": {"author": {}}}, "Books": _BOOKS}}
    document = {"openapi": "3.0.3", "info": {"title": "Library"}, "paths": _PATHS, "components": components}
    return json.dumps(document).encode()
