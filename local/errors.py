"""The one error of a local run, and how a command ends by it; its message is the line that the user reads."""

import sys
from typing import NoReturn


class LocalRunError(Exception):
    """The local system cannot start or go on; the message says what to do about it."""


def give_up(message: str) -> NoReturn:
    """Say why on standard error, and end the command with status 2."""
    print(message, file=sys.stderr)
    sys.exit(2)
