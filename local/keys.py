"""``make key``: lists, makes and ends API keys, of the running local system or of a deployed one."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import httpx
import typer

from local.build import PROJECT
from local.errors import LocalRunError, give_up
from opdex.openapi.plain_text import on_one_line

_Text = str
_HOW = "make key NAME=… ROLE=reader|editor|admin [EXPIRES=2030-01-31T00:00:00Z] makes one, make key REVOKE=id ends one."


def key(
    *,
    name: Annotated[_Text, typer.Option(envvar="NAME", help="Whose key it is to be.")] = "",
    role: Annotated[_Text, typer.Option(envvar="ROLE", help="reader, editor or admin.")] = "",
    expires: Annotated[_Text, typer.Option(envvar="EXPIRES", help="When it ends: RFC 3339, with an offset.")] = "",
    revoke: Annotated[_Text, typer.Option(envvar="REVOKE", help="The id of the key to end.")] = "",
    data_dir: Annotated[
        _Text, typer.Option(envvar="DATA_DIR", help="That of the running local system.", show_default=".local")
    ] = "",
    url: Annotated[_Text, typer.Option(envvar="OPDEX_URL", help="A deployed stack's output ApiUrl.")] = "",
    api_key: Annotated[_Text, typer.Option(envvar="OPDEX_KEY", help="An admin's key there.")] = "",
    token: Annotated[
        _Text, typer.Option(envvar="OPDEX_TOKEN", help="A token, where ApiAuthorization=cognito or jwt asks for one.")
    ] = "",
) -> None:
    """List the API keys; with a role make one, whose key alone goes to standard output."""
    try:
        if (name or expires) and not role:
            raise LocalRunError(f"A new key needs a role: {_HOW}")
        with _client(url, api_key, token, Path(data_dir or PROJECT / ".local").expanduser()) as client:
            if revoke:
                _call(client, "DELETE", f"keys/{quote(revoke, safe='')}")
                print(f"Key {revoke} is refused from now on.", file=sys.stderr)
            elif role:
                made = _call(client, "POST", "keys", {"name": name, "role": role, "expires_at": expires or None})
                print(f"Key {made['id']} ({made['role']}). It is shown this once:", file=sys.stderr)
                print(made["key"])
            else:
                _show(_call(client, "GET", "keys")["keys"])
    except LocalRunError as error:
        give_up(str(error))


def _client(url: str, api_key: str, token: str, folder: Path) -> httpx.Client:
    if bool(url) != bool(api_key or token):
        raise LocalRunError("A deployed stack needs OPDEX_URL, and OPDEX_KEY or OPDEX_TOKEN or both.")
    if not url:
        try:
            endpoint = json.loads((folder / "endpoint.json").read_text())
        except OSError:
            raise LocalRunError(
                f"No system runs in {folder}: start one with make run, or set OPDEX_URL and OPDEX_KEY."
            ) from None
        url, api_key = endpoint["url"], endpoint["api_key"]
    headers = {"X-API-Key": api_key, "Authorization": token and f"Bearer {token}"}
    return httpx.Client(
        base_url=f"{url.rstrip('/')}/api/v1/admin/",
        headers={name: value for name, value in headers.items() if value},
        timeout=60,
    )


def _call(client: httpx.Client, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    try:
        answer = client.request(method, path, json=body)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise LocalRunError(f"{client.base_url} does not answer: {error}") from None
    if answer.is_success:
        return answer.json() if answer.content else None
    try:
        message = str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        message = answer.text[:300]
    raise LocalRunError(f"Refused ({answer.status_code}): {message}")


def _show(keys: list[dict[str, str | None]]) -> None:
    columns = ("id", "name", "role", "created_at", "expires_at", "last_used_at")
    rows = [columns, *(tuple(on_one_line(listed[column] or "-") for column in columns) for listed in keys)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print(_HOW, file=sys.stderr)


if __name__ == "__main__":
    typer.run(key)
