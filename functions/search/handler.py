"""SearchFunction: whatever asks the embedding provider while a client waits."""

from typing import TYPE_CHECKING, Any

from opdex import cold_start
from opdex.database import Database
from opdex.embedding import make_embedder
from opdex.http.app import Api
from opdex.http.context import ReadContext
from opdex.http.route_table import search_function_routes
from opdex.observability import observed
from opdex.settings import SearchSettings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

_settings = SearchSettings.read()
_context = ReadContext(_settings, Database(_settings), lambda: make_embedder(_settings))
_api = Api(_context, search_function_routes(_context))
cold_start.end()


@observed
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Answer an API Gateway REST proxy event."""
    return _api(event, context)
