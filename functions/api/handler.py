"""ApiFunction: everything over HTTP."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from opdex.database import Database
from opdex.embedding import make_embedder
from opdex.http.app import Api
from opdex.http.context import ApiContext
from opdex.jobs.wakeups import WakeUpSender
from opdex.observability import observed
from opdex.settings import ApiSettings

_settings = ApiSettings.read()
_api = Api(
    ApiContext(
        settings=_settings,
        database=Database(_settings),
        wake_ups=WakeUpSender(_settings.embed_queue_url),
        make_embedder=lambda: make_embedder(_settings),
    )
)


@observed
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer an API Gateway REST proxy event."""
    return _api(event, context)
