"""/openapi.json: the service's own description, made from its routes."""

import json
from collections.abc import Iterable
from typing import Any, Final

from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.event_handler.openapi.models import (
    APIKey,
    APIKeyIn,
    HTTPBearer,
    License,
    SecurityScheme,
    Server,
    Tag,
)

from opdex.http.routing import Routes

_TITLE: Final = "Opdex"
_VERSION: Final = "1"
_SUMMARY: Final = "Finds API operations by what they do."
_DESCRIPTION: Final = (
    "OpenAPI documents go in as specs of a catalog; each of their operations is embedded, and found by its meaning. "
    "Every error has one shape, with a `code` that never changes. `x-required-role` is the lowest role that may call "
    "an operation: reader < editor < admin."
)
_TAGS: Final = {
    "Catalogs": "Named sets of OpenAPI documents.",
    "Specs": "The documents of a catalog.",
    "Embedding": "How far the operations of a spec are embedded, and the jobs that do it.",
    "Search": "Operations by what they do.",
    "MCP": "The same for language-model agents.",
    "Keys": "Who may call.",
    "Audit": "Who changed what.",
    "Service": "The service itself.",
}
_SECURITY_SCHEMES: Final[dict[str, SecurityScheme]] = {
    "ApiKey": APIKey(**{"in": APIKeyIn.header, "name": "X-API-Key"}),
    "Bearer": HTTPBearer(description="The same key as a bearer token."),
}
# The framework's own error models, which this service never answers with.
_NEVER_ANSWERED: Final = ("HTTPValidationError", "ValidationError", "ResponseValidationError")


def describe_service(described: Iterable[Routes]) -> str:
    """Return the OpenAPI 3.1 document of these routes as JSON."""
    resolver = APIGatewayRestResolver()
    for routes in described:
        resolver.include_router(routes, prefix=routes.base_path)
    schema = resolver.get_openapi_schema(
        title=_TITLE,
        version=_VERSION,
        summary=_SUMMARY,
        description=_DESCRIPTION,
        license_info=License(name="Apache-2.0", identifier="Apache-2.0"),
        tags=[Tag(name=name, description=text) for name, text in _TAGS.items()],
        # Relative to this document's own address, so it holds behind any stage, base path or proxy.
        servers=[Server(url=".")],
        security_schemes=_SECURITY_SCHEMES,
        security=[{name: []} for name in _SECURITY_SCHEMES],
    )
    document: dict[str, Any] = schema.model_dump(mode="json", by_alias=True, exclude_none=True)
    for name in _NEVER_ANSWERED:
        document["components"]["schemas"].pop(name, None)
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))
