"""ApiFunction: everything over HTTP but what SearchFunction serves."""

from typing import TYPE_CHECKING, Any

from opdex import cold_start
from opdex.database import Database
from opdex.embedding import make_embedder
from opdex.http.app import Api
from opdex.http.context import ApiContext
from opdex.http.route_table import api_function_routes
from opdex.jobs.wakeups import WakeUpSender
from opdex.observability import observed
from opdex.settings import ApiSettings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

_settings = ApiSettings.read()
_context = ApiContext(
    settings=_settings,
    database=Database(_settings),
    wake_ups=WakeUpSender(_settings.embed_queue_url),
    make_embedder=lambda: make_embedder(_settings),
)
_api = Api(_context, api_function_routes(_context))
cold_start.end()


@observed
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Answer an API Gateway REST proxy event."""
    return _api(event, context)
