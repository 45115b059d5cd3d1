"""Tables in Markdown."""

from collections.abc import Iterable, Sequence
from typing import Final

DASH: Final = "\N{EN DASH}"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table, with its last newline; what would end a cell is escaped."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', '\\|') for cell in line)} |\n" for line in lines)


def code(words: Iterable[str]) -> str:
    """Return words as code, sorted and separated by commas; a dash for none."""
    return ", ".join(f"`{word}`" for word in sorted(words)) or DASH


def or_dash(value: object) -> str:
    """Return a value as code; a dash for none."""
    return DASH if value in ("", None) else f"`{value}`"
