"""Secrets Manager. A value is kept for a minute: what is rotated is picked up without a deploy."""

import time

from opdex import aws
from opdex.errors import SecretUnavailable

_KEPT_SECONDS = 60.0
_kept: dict[str, tuple[float, str]] = {}  # when each was read, by ARN


def read_secret(arn: str, *, fresh: bool = False) -> str:
    """Return a secret's value; ``fresh`` asks for it whatever is kept. Raises SecretUnavailable."""
    from botocore.exceptions import BotoCoreError, ClientError  # only where a secret is read

    read_at, value = _kept.get(arn, (float("-inf"), ""))
    if fresh or time.monotonic() >= read_at + _KEPT_SECONDS:
        try:
            value = str(aws.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"])
        except (BotoCoreError, ClientError) as error:
            raise SecretUnavailable(cause=str(error)) from error
        _kept[arn] = time.monotonic(), value
    return value
