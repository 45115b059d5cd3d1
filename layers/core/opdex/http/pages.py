"""The pages: each one HTML file that needs nothing from anywhere else, and the policy that holds it to that."""

from base64 import b64encode
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Final

_OWN: Final = files("opdex.http") / "portal"
# By its folder, not as a package: importing that one costs a cold start 70 ms.
_SWAGGER_UI: Final = files("aws_lambda_powertools.event_handler") / "openapi" / "swagger_ui"


@dataclass(frozen=True)
class Page:
    """One HTML file, and its Content-Security-Policy."""

    html: str
    policy: str


@cache
def portal_page() -> Page:
    """Return the portal: style and script are put in line, so that it works at an address with no trailing slash."""
    style, script = _read("portal.css"), _read("portal.js")
    html = _read("index.html").replace("/* portal.css */", style).replace("/* portal.js */", script)
    return Page(html, _policy(script=_hash(script), style=_hash(style)))


@cache
def docs_page() -> Page:
    """Return Swagger UI's page; its script finds the service's base path before it loads the rest from there."""
    script = _read("docs.js")
    html = _read("docs.html").replace("/* docs.js */", script)
    # Swagger UI sets style attributes, which only this word allows.
    return Page(html, _policy(script=f"'self' {_hash(script)}", style="'self' 'unsafe-inline'"))


def swagger_asset(name: str) -> str:
    """Return a file of Swagger UI as the framework ships it."""
    return (_SWAGGER_UI / name).read_text("utf-8")


def _read(name: str) -> str:
    return (_OWN / name).read_text("utf-8")


def _policy(script: str, style: str) -> str:
    return (
        f"default-src 'none'; script-src {script}; style-src {style}; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _hash(source: str) -> str:
    return f"'sha256-{b64encode(sha256(source.encode()).digest()).decode()}'"
