"""Where the pages are that are made from the code."""

from collections.abc import Callable, Mapping
from typing import Final

from docs.pages import configuration, costs
from local.build import PROJECT

FOLDER: Final = PROJECT / "docs"
PAGES: Final[Mapping[str, Callable[[], str]]] = {"configuration.md": configuration.page, "costs.md": costs.page}


def write_pages() -> None:
    """Write them all."""
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), "utf-8")
