"""The service itself: health, the portal, and its own description."""

from collections.abc import Callable
from functools import cache
from typing import Annotated, Final

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from opdex.errors import DatabaseUnavailable
from opdex.http.answers import Health
from opdex.http.context import ApiContext
from opdex.http.pages import Page, docs_page, portal_page, swagger_asset
from opdex.http.routing import Routes

Shallow = Annotated[bool, Query(description="Leave the database alone, so that a paused one can sleep.")]

_HTML: Final = "text/html; charset=utf-8"
# These change only with a deploy; revalidating each hour is cheap and never shows an old page for long.
_CACHED: Final = {"Cache-Control": "public, max-age=3600"}


def service_routes(context: ApiContext, describe_service: Callable[[], str]) -> Routes:
    """Return the open routes; ``describe_service`` makes the OpenAPI document."""
    routes = Routes("Service", base_path="")
    description = cache(describe_service)

    @routes.endpoint("GET", "/healthz", role=None, answers={200: "The service answers."}, errors=(DatabaseUnavailable,))
    def check_health(shallow: Shallow = False) -> Health:
        """Tell whether the service and its database answer."""
        if not shallow:
            with context.database.transaction() as c:
                c.execute("SELECT 1")
        return Health()

    @routes.endpoint("GET", "/", role=None, answers={200: "The portal."}, media_type="text/html")
    def get_portal() -> Response[str]:
        """Show the portal."""
        return _html(portal_page())

    @routes.endpoint("GET", "/docs", role=None, answers={200: "Swagger UI."}, media_type="text/html")
    def get_docs() -> Response[str]:
        """Show this description for people."""
        return _html(docs_page())

    @routes.endpoint("GET", "/openapi.json", role=None, answers={200: "OpenAPI 3.1."}, media_type="application/json")
    def get_openapi() -> Response[str]:
        """Return this description."""
        return Response(200, "application/json", description())

    @routes.endpoint("GET", "/docs/swagger-ui.js", role=None, answers={200: "Its script."}, documented=False)
    def get_swagger_script() -> Response[str]:
        """Return Swagger UI's script."""
        body = swagger_asset("swagger-ui-bundle.min.js")
        return Response(200, "text/javascript; charset=utf-8", body, _CACHED)

    @routes.endpoint("GET", "/docs/swagger-ui.css", role=None, answers={200: "Its style."}, documented=False)
    def get_swagger_style() -> Response[str]:
        """Return Swagger UI's style."""
        return Response(200, "text/css; charset=utf-8", swagger_asset("swagger-ui.min.css"), _CACHED)

    return routes


def _html(page: Page) -> Response[str]:
    return Response(200, _HTML, page.html, {"Content-Security-Policy": page.policy, "Cache-Control": "no-cache"})
