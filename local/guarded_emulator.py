"""The emulator behind a guard, run as a program of its own.

It asks nobody for a key, so without the guard any web page that is open in a browser on this machine could read secrets
and create functions through it: directly, or under a name of its own that it lets point to 127.0.0.1.
"""

import asyncio
import contextlib
import os
import resource
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any

type Message = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Any]]
type Send = Callable[[Any], Awaitable[None]]
type App = Callable[[Any, Receive, Send], Coroutine[Any, Any, None]]

_OURSELVES = {"127.0.0.1", "localhost"}
_PAGES = "/_aws/execute-api/"  # what a link from elsewhere may open: the portal
_PORTAL = f"{_PAGES}opdex/v1/"  # a stack's name is its API's id here
_REFUSAL = b"Refused: open this address itself, at 127.0.0.1 or localhost; other sites' pages may not use it.\n"


def guarded(app: App) -> App:
    """Return the ASGI app without the requests that a web page of another site causes; those are answered with 403.

    Who opens the bare address in a browser is led to the portal.
    """

    async def guard(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
        elif not is_our_own(scope):
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            else:
                await _answer(send, 403, _REFUSAL, (b"content-type", b"text/plain"))
        elif scope["path"] == "/" and (b"sec-fetch-dest", b"document") in scope["headers"]:
            await _answer(send, 307, b"", (b"location", _PORTAL.encode()))
        else:
            await app(scope, receive, send)

    return guard


async def _answer(send: Send, status: int, body: bytes, header: tuple[bytes, bytes]) -> None:
    headers = [header, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def is_our_own(scope: Message) -> bool:
    """Tell whether a request comes from the portal, a script, a function, or a browser's address bar."""
    sent: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        sent.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    hosts = sent.get("host", [])
    if len(hosts) != 1 or hosts[0].partition(":")[0].lower() not in _OURSELVES:
        return False
    if any(origin != f"http://{hosts[0]}" for origin in sent.get("origin", [])):
        return False
    # Where a browser sends no Origin, as for an image's address or a link, it says where the request comes from.
    if set(sent.get("sec-fetch-site", [])) <= {"same-origin", "none"}:
        return True
    follows_a_link = sent.get("sec-fetch-mode") == ["navigate"] and sent.get("sec-fetch-dest") == ["document"]
    return follows_a_link and scope.get("method") == "GET" and str(scope["path"]).startswith(_PAGES)


def main() -> None:
    """Serve the emulator on BIND_HOST and GATEWAY_PORT until killed."""
    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack.app import app

    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with contextlib.suppress(OSError, ValueError):  # a burst of connections may pass the usual 1,024
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    config = Config()
    config.bind = [f"{os.environ['BIND_HOST']}:{os.environ['GATEWAY_PORT']}"]
    config.keep_alive_timeout = 75  # longer than the clients', so that none meets a closing connection
    asyncio.run(serve(guarded(app), config))


if __name__ == "__main__":
    main()
