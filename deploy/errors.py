"""The one error here: its message is what the user is told."""


class DeployError(Exception):
    """The deploy, or the end of a stack, would not work; the message says why, and what to do."""
