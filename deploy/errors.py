"""The one error here, and how a mistake is told: in a line, not in a traceback."""

import sys
from collections.abc import Callable


class DeployError(Exception):
    """The deploy, or the end of a stack, would not work; the message says why, and what to do."""


def told_in_a_line(act: Callable[[], None]) -> None:
    """Do it; where it does not work, or AWS refuses or is not reached, say why and end with status 1."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        act()
    except DeployError as error:
        sys.exit(str(error))
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"AWS cannot be asked: {error}")
