"""MigrateFunction: brings the schema up to date at each deploy, and stores the hash of the first admin key."""

from typing import Any

from opdex import custom_resource
from opdex.database import Database
from opdex.errors import DatabaseUnavailable, MigrationFailed
from opdex.http.first_admin_key import take_over_first_admin_key
from opdex.migrations import deployed_folder, migrate
from opdex.observability import observed
from opdex.settings import MigrateSettings


@observed
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Serve CloudFormation's request, or a plain invocation, which is answered with what was applied."""
    if custom_resource.is_request(event):
        custom_resource.fulfil(event, _migrate)
        return {}
    return {"applied": _migrate()}


def _migrate() -> list[str]:
    settings = MigrateSettings.read()
    database = Database(settings)
    _wait_for(database, settings.database_wait_seconds)
    with database.transaction() as connection:
        applied = migrate(connection, deployed_folder())
        if settings.admin_key_secret_arn is not None:
            take_over_first_admin_key(connection, settings.admin_key_secret_arn)
    return applied


def _wait_for(database: Database, seconds: float) -> None:
    try:
        database.wait(seconds)
    except DatabaseUnavailable as error:
        raise MigrationFailed(
            f"The database cannot be reached ({error.__cause__}): see that DatabaseSecretArn names it, and that the"
            " subnets and security groups of the functions lead to it."
        ) from error
