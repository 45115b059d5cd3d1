"""An internet of one server: names lead to the addresses that a test gives them, and every connection ends there."""

import ssl
from functools import partial
from ipaddress import ip_address
from typing import Any

import httpcore

from opdex.fetching import Fetcher
from opdex.fetching.addresses import Address
from opdex.fetching.name_lookup import NameUnknown
from opdex.fetching.network import PublicNetwork
from opdex.settings import FetchSettings

HOST = "docs.example.com"
ADDRESS = "93.184.216.34"
LIMIT_BYTES = 100_000


class Internet:
    """Remembers what was looked up, and to which addresses somebody connected.

    ``names`` has one list of addresses for each look-up of a name; the last one stays. ``problems`` are what connecting
    to an address comes to.
    """

    def __init__(self, port: int) -> None:
        self.names: dict[str, list[list[str]]] = {HOST: [[ADDRESS]]}
        self.problems: dict[str, Exception] = {}
        self.looked_up: list[str] = []
        self.dialled: list[tuple[str, int]] = []
        self.is_seeming = True
        self._port = port

    def look_up(self, name: str, seconds: float) -> list[Address]:
        assert seconds > 0
        self.looked_up.append(name)
        answers = self.names.get(name)
        if answers is None:
            raise NameUnknown
        return [ip_address(address) for address in (answers.pop(0) if len(answers) > 1 else answers[0])]

    def dial(self, host: str, port: int, timeout: float | None = None) -> httpcore.NetworkStream:
        self.dialled.append((host, port))
        if host in self.problems:
            raise self.problems[host]
        stream = httpcore.SyncBackend().connect_tcp("127.0.0.1", self._port, timeout)
        return _Seeming(stream, host) if self.is_seeming else stream

    def fetcher(self, limit_bytes: int = LIMIT_BYTES, **settings: Any) -> Fetcher:
        network = partial(PublicNetwork, look_up=self.look_up, dial=self.dial)
        return Fetcher(FetchSettings(**settings), limit_bytes, network)


class _Seeming(httpcore.NetworkStream):
    """A connection that seems to lead to another address than it does."""

    def __init__(self, stream: httpcore.NetworkStream, address: str) -> None:
        self._stream = stream
        self._address = address

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return self._stream.start_tls(ssl_context, server_hostname, timeout)

    def get_extra_info(self, info: str) -> Any:
        return (self._address, 443) if info == "server_addr" else self._stream.get_extra_info(info)
