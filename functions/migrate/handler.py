"""MigrateFunction: brings the schema up to date at each deploy, and stores the hash of the first admin key."""

from typing import Any

from aws_lambda_powertools.utilities import parameters

from opdex import custom_resource
from opdex.database import Database
from opdex.migrations import deployed_folder, ensure_admin_key, migrate
from opdex.settings import MigrateSettings


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Serve CloudFormation's request, or a plain invocation, which is answered with what was applied."""
    if custom_resource.is_request(event):
        custom_resource.fulfil(event, _migrate)
        return {}
    return {"applied": _migrate()}


def _migrate() -> list[str]:
    settings = MigrateSettings.read()
    with Database(settings).transaction() as connection:
        applied = migrate(connection, deployed_folder())
        if settings.admin_key_secret_arn is not None:
            ensure_admin_key(connection, str(parameters.get_secret(settings.admin_key_secret_arn, force_fetch=True)))
    return applied
