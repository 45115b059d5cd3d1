"""Numbers as they are written: ``1.10`` is a version and stays one, and ``minimum: 1`` is no text all the same."""

import re
from typing import Final

NUMERAL_START: Final = "-0123456789"
_NUMERAL: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_MAX_DIGITS: Final = 300  # a longer one would cost more than it says


class Numeral(str):
    """A number in the digits of its document; in every other way text."""

    __slots__ = ()

    def number(self) -> "int | float | Numeral":
        """Return the number, or the numeral where the number would be written in another way."""
        if len(self) > _MAX_DIGITS:
            return self
        number = int(self) if self.removeprefix("-").isdigit() else float(self)
        return number if str(number) == self else self


def is_numeral(text: str) -> bool:
    """Tell whether JSON would read the text as a number."""
    return _NUMERAL.fullmatch(text) is not None
