"""The first admin key, kept equal to its secret: whoever may change the secret has the last word on who gets in."""

from opdex.database import Connection
from opdex.http.keys_store import keep_first_admin_key
from opdex.observability import logger
from opdex.secrets import read_secret


def take_over_first_admin_key(connection: Connection, secret_arn: str) -> bool:
    """Have the key in the secret accepted from the commit on, and no earlier one; tell whether that was news.

    Raises SecretUnavailable, and ConfigurationError where the key could be guessed.
    """
    is_news = keep_first_admin_key(connection, read_secret(secret_arn, fresh=True))
    if is_news:
        logger.info("first admin key taken over from its secret")
    return is_news
