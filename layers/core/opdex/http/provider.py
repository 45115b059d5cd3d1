"""The embedding provider: which one there is, and whether it can be reached."""

from typing import Literal

from opdex.embedding import ModelIdentity
from opdex.embedding.registry import find_model
from opdex.errors import ConfigurationError, ProviderError, ProviderRefused
from opdex.http.answers import ProviderStatus
from opdex.http.context import ReadContext
from opdex.http.routing import Routes
from opdex.observability import logger


def provider_routes(context: ReadContext) -> Routes:
    """Return the route on the embedding provider."""
    routes = Routes("Embedding")

    @routes.endpoint(
        "GET", "/embedding/status", role="reader", answers={200: "The provider, and whether it can be reached."}
    )
    def get_provider_status() -> ProviderStatus:
        """Tell which embedding provider is configured, and whether it can be reached."""
        settings = context.settings
        identity = ModelIdentity(settings.embedding_provider, settings.embedding_model)
        status: Literal["ok", "unconfigured", "unreachable"] = "ok"
        try:
            identity = context.embedder.identity
            context.embedder.probe()
        except (ConfigurationError, ProviderRefused) as error:
            logger.warning("embedding provider not configured", error_code=error.code)
            status = "unconfigured"
        except ProviderError as error:
            logger.warning("embedding provider not reached", error_code=error.code)
            status = "unreachable"
        with context.database.transaction() as c:
            known = find_model(c, identity)
        return ProviderStatus(
            kind=identity.provider,
            model=identity.model,
            dimension=known.dimension if known else None,
            status=status,
            workers=settings.workers,
            paused=settings.workers == 0,
        )

    return routes
