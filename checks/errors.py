"""How a check of our own tells what it found."""

import sys
from collections.abc import Iterable

NOT_DONE = 75
"""The exit status of a check that could not be done here: the system's own for "try again later"."""


def told(complaints: Iterable[str]) -> None:
    """Print what is wrong, and end with status 1 if anything is."""
    lines = list(complaints)
    if lines:
        sys.exit("\n".join(lines))
