"""``python -m checks.pages``: the commands, files and links that README and docs show are there."""

import re
from collections.abc import Iterator
from pathlib import Path

from checks.commands import Commands
from checks.errors import told
from checks.table import PROJECT

# What a page calls by its path within the package.
_PLACES = (".", "layers/core/opdex")
_SPAN = re.compile(r"`([^`\n]+)`")
_PATH = re.compile(r"[\w*-][\w.*-]*(?:/[\w.*-]+)*(?:/|\.[a-z]{2,5})")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def complaints(project: Path, commands: Commands) -> Iterator[str]:
    """Return what the pages of a project show and is not there."""
    for page in sorted([*project.glob("*.md"), *(project / "docs").rglob("*.md")]):
        name, text = page.relative_to(project), page.read_text("utf-8")
        prose = _FENCE.sub("", text)
        for link in _LINK.findall(prose):
            if not _leads_somewhere(link, page):
                yield f"{name}: the link {link} leads nowhere"
        for span in _SPAN.findall(prose):
            if commands.knows(span):
                yield from (f"{name}: `{span}`: {wrong}" for wrong in commands.complaints(span, text))
            elif "/" in span and _PATH.fullmatch(span) and not any(any(project.glob(f"{p}/{span}")) for p in _PLACES):
                yield f"{name}: there is no {span}"
        for language, block in _FENCE.findall(text):
            if language in ("", "bash", "sh"):
                yield from (f"{name}: {wrong}" for wrong in commands.complaints(block, text))


def _leads_somewhere(link: str, page: Path) -> bool:
    path, _, anchor = link.partition("#")
    if "://" in path:
        return True
    target = page.parent / path if path else page
    return target.exists() and (not anchor or anchor in _anchors(target.read_text("utf-8")))


def _anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ +(.+)$", _FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


if __name__ == "__main__":
    told(complaints(PROJECT, Commands(PROJECT)))
