"""The path that all of a document's paths are under."""

import re
from typing import Any

from opdex.openapi.document import Node
from opdex.openapi.operations import as_text
from opdex.openapi.plain_text import cut, on_one_line

MAX_BASE_PATH = 2000
_ORIGIN = re.compile(r"(?:[^/?#:]*:)?//[^/?#]*")
_PATH = re.compile(r"[^?#]*")
_VARIABLE = re.compile(r"\{([^{}]*)\}")


def read_base_path(document: Node) -> str:
    """Return the path of the first server, or Swagger 2's basePath, without a slash at its end; "" for none."""
    if "openapi" in document:
        address = _first_server(document.get("servers"))
    else:
        address = as_text(document.get("basePath")) or ""
    return normal_base_path(address)


def normal_base_path(address: str) -> str:
    """Return the path of an address, or of a path, with a slash at its beginning and none at its end; "" for none."""
    address = on_one_line(cut(address, MAX_BASE_PATH))
    origin = _ORIGIN.match(address)
    path = _PATH.match(address, origin.end() if origin else 0)
    found = path[0].strip("/") if path else ""
    steps = "/".join(step for step in found.split("/") if step not in (".", ".."))
    return cut(f"/{steps}", MAX_BASE_PATH) if steps else ""


def _first_server(servers: Any) -> str:
    """Return the URL of the first server. One that is in no list, or is nothing but a URL, is taken all the same."""
    server = servers[0] if isinstance(servers, list) and servers else servers
    return _fill_in(server) if isinstance(server, dict) else as_text(server) or ""


def _fill_in(server: Node) -> str:
    """Return the server's URL with the default of each variable in its place."""
    variables = server.get("variables")

    def default(match: re.Match[str]) -> str:
        variable: Any = variables.get(match[1]) if isinstance(variables, dict) else None
        value = as_text(variable.get("default")) if isinstance(variable, dict) else None
        return match[0] if value is None else value

    return _VARIABLE.sub(default, cut(as_text(server.get("url")) or "", MAX_BASE_PATH))
