"""Which routes there are, and which function serves each: the gateway's paths in template.yaml lead there.

Each function imports its own routes alone: what the others need would make its cold starts longer.
"""

from opdex.http.context import ApiContext, ReadContext
from opdex.http.routing import Routes


def all_routes(context: ApiContext) -> list[Routes]:
    """Return all routes of the service."""
    return [*api_function_routes(context), *search_function_routes(context)]


def api_function_routes(context: ApiContext) -> list[Routes]:
    """Return what ApiFunction serves: all but what SearchFunction does."""
    from opdex.http.audit import audit_routes
    from opdex.http.catalogs import catalog_routes
    from opdex.http.content import content_routes
    from opdex.http.embedding import embedding_routes
    from opdex.http.keys import key_routes
    from opdex.http.operations import operation_routes
    from opdex.http.service import service_routes
    from opdex.http.sources import source_routes
    from opdex.http.specs import spec_routes

    def describe() -> str:
        from opdex.http.service_description import describe_service  # its models cost a cold start 70 ms

        return describe_service(all_routes(context))

    return [
        catalog_routes(context),
        spec_routes(context),
        source_routes(context),
        operation_routes(context),
        content_routes(context),
        embedding_routes(context),
        key_routes(context),
        audit_routes(context),
        service_routes(context, describe),
    ]


def search_function_routes(context: ReadContext) -> list[Routes]:
    """Return what SearchFunction serves: whatever asks the embedding provider while a client waits."""
    from opdex.http.mcp import mcp_routes
    from opdex.http.provider import provider_routes
    from opdex.http.search import search_routes

    return [search_routes(context), provider_routes(context), mcp_routes(context)]
