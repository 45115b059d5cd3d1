"""The official client of the Model Context Protocol, as an agent's program uses it."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client


def as_agent[T](url: str, headers: dict[str, str], act: Callable[[Client], Awaitable[T]], mode: str = "auto") -> T:
    """Connect to an address over streamable HTTP, let the client act, and return what came of it.

    ``mode``: "legacy" begins with `initialize`; "auto" first asks for the newest version.
    """

    async def connect() -> T:
        async with (
            httpx2.AsyncClient(headers=headers, timeout=60) as http,
            Client(streamable_http_client(url, http_client=http), mode=mode) as client,
        ):
            return await act(client)

    return asyncio.run(connect())
