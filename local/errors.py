"""The one error of a local run; its message is the line that the user reads."""


class LocalRunError(Exception):
    """The local system cannot start or go on; the message says what to do about it."""
