"""MigrateFunction: brings the schema up to date at each deploy, stores the hash of the first admin key, and makes what
search needs."""

from contextlib import closing
from typing import Any, Final

from aws_lambda_powertools.utilities.typing import LambdaContext

from opdex import custom_resource
from opdex.catalog.segments import rebuild_segments
from opdex.database import Database
from opdex.errors import DatabaseUnavailable, MigrationFailed, OpdexError
from opdex.http.first_admin_key import take_over_first_admin_key
from opdex.migrations import deployed_folder, migrate
from opdex.observability import logger, observed
from opdex.openapi import Limits
from opdex.settings import MigrateSettings

# A deploy waits no longer for what the sweep makes as well. A segment that is begun then is done before the time-out.
_SEGMENTS_SECONDS: Final = 300.0
_LAST_SECONDS: Final = 60.0


@observed
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Serve CloudFormation's request, or a plain invocation, which is answered with what was applied."""

    def work() -> list[str]:
        settings = MigrateSettings.read()
        applied = _migrate(settings)
        left = context.get_remaining_time_in_millis() / 1000 - _LAST_SECONDS
        _rebuild_segments(settings, min(_SEGMENTS_SECONDS, left))
        return applied

    if custom_resource.is_request(event):
        custom_resource.fulfil(event, work)
        return {}
    return {"applied": work()}


def _migrate(settings: MigrateSettings) -> list[str]:
    with closing(Database(settings)) as database:
        _wait_for(database, settings.database_wait_seconds)
        with database.transaction() as connection:
            applied = migrate(connection, deployed_folder())
            if settings.admin_key_secret_arn is not None:
                take_over_first_admin_key(connection, settings.admin_key_secret_arn)
    return applied


def _rebuild_segments(settings: MigrateSettings, seconds: float) -> None:
    """Make what search needs, as far as there is time. No deploy fails for it: the sweep goes on with the others."""
    if seconds <= 0:
        return
    with closing(Database(settings)) as database, database.giving_up_after(seconds + _LAST_SECONDS / 2):
        try:
            rebuilt = rebuild_segments(database, Limits.of(settings), seconds=seconds)
        except OpdexError as error:
            logger.warning("segments not rebuilt", error_code=error.code)
        else:
            logger.info("segments rebuilt", segments=rebuilt.segments, failures=rebuilt.failures)


def _wait_for(database: Database, seconds: float) -> None:
    try:
        database.wait(seconds)
    except DatabaseUnavailable as error:
        raise MigrationFailed(
            f"The database cannot be reached ({error.__cause__}): see that DatabaseSecretArn names it, and that the"
            " subnets and security groups of the functions lead to it."
        ) from error
