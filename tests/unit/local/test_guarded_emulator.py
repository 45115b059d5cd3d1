"""Who may use the emulator: the portal, scripts and functions, but no page of another site."""

import asyncio
from typing import Any

import pytest

from local.deployment import STACK
from local.guarded_emulator import Message, Receive, Send, guarded

_LINK = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


def _status(method: str = "GET", path: str = "/", **headers: str) -> int:
    return int(_answer(method, path, **headers)["status"])


def _answer(method: str, path: str, **headers: str) -> Message:
    """Return how the guarded app's answer begins: 200 is the app's own."""
    sent: list[Message] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError("nothing is read of a request that is refused")

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope: dict[str, Any] = {"type": "http", "method": method, "path": path, "headers": raw}
    asyncio.run(guarded(app)(scope, receive, send))
    return sent[0]


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:8080", "LOCALHOST", "127.0.0.1"])
def test_request_is_answered_when_it_names_this_machine(host: str) -> None:
    assert _status(host=host) == 200


@pytest.mark.parametrize("host", ["evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example:8080", ""])
def test_request_is_refused_when_another_name_points_here(host: str) -> None:
    assert _status(host=host) == 403


def test_request_is_refused_when_it_names_no_host() -> None:
    assert _status() == 403


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:8080"])
def test_page_is_answered_when_it_asks_where_it_came_from(host: str) -> None:
    assert _status("POST", host=host, origin=f"http://{host}") == 200


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://localhost:3000", "https://127.0.0.1:8080", "http://localhost:8080"],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_page_is_refused_when_it_is_of_another_origin(method: str, origin: str) -> None:
    assert _status(method, host="127.0.0.1:8080", origin=origin) == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_request_without_an_origin_is_refused_when_another_site_caused_it(site: str) -> None:
    assert _status(host="127.0.0.1:8080", sec_fetch_site=site, sec_fetch_mode="no-cors") == 403


@pytest.mark.parametrize(("path", "status"), [("/_aws/execute-api/1/v1/", 200), ("/?Action=CreateQueue", 403)])
def test_link_from_elsewhere_opens_the_portal_and_nothing_else(path: str, status: int) -> None:
    assert _status(path=path, host="127.0.0.1:8080", **_LINK) == status


def test_bare_address_leads_to_the_portal_when_a_browser_opens_it() -> None:
    typed = {"sec-fetch-site": "none", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    answer = _answer("GET", "/", host="127.0.0.1:8080", **typed)
    assert answer["status"] == 307
    assert (b"location", f"/_aws/execute-api/{STACK}/v1/".encode()) in answer["headers"]


def test_bare_address_is_the_emulators_own_when_a_program_asks() -> None:
    assert _status("GET", "/", host="127.0.0.1:8080") == 200
