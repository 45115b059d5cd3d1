"""`make docs`: writes the pages that are made from the code."""

from docs.pages import configuration
from local.build import PROJECT

PAGES = {"configuration.md": configuration.page}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (PROJECT / "docs" / name).write_text(page(), "utf-8")
