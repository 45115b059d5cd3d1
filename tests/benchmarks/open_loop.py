"""An open loop of requests: each is due at its moment, whatever has become of those before.

A client that waits for its answers sends less to a service that is slow, and then measures the few that it sent. Here a
latency counts from when the request was due, and how late the client itself was is kept beside it.
"""

import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_PATIENCE_SECONDS = 35.0  # longer than a gateway's
# More than 50 a second come to within that: none waits for a thread, even where nothing is answered.
_MOST_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request; moments are monotonic. ``status`` is None where there was no answer."""

    kind: str
    status: int | None
    due: float
    sent: float
    ended: float

    @property
    def latency(self) -> float:
        """The seconds from when it was due to the end of its answer."""
        return self.ended - self.due

    @property
    def lag(self) -> float:
        """The seconds that it was sent too late."""
        return self.sent - self.due


class OpenLoop:
    """Sends GET requests to a server, each from a thread with a connection of its own. A context manager."""

    def __init__(self, base_url: str, headers: Mapping[str, str]) -> None:
        self._url = urlsplit(base_url)
        self._headers = dict(headers)
        self._threads = ThreadPoolExecutor(_MOST_AT_ONCE)
        self._thread = threading.local()
        self._connections: list[HTTPConnection] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._threads.shutdown()
        for connection in self._connections:
            connection.close()

    def send(self, requests: Iterable[tuple[str, str]], rate: float) -> list[Answer]:
        """Send these, given as kind and path, ``rate`` of them a second; return all answers, in the same order."""
        began = time.monotonic()
        sending = []
        for number, (kind, path) in enumerate(requests):
            due = began + number / rate
            time.sleep(max(0.0, due - time.monotonic()))
            sending.append(self._threads.submit(self._send, kind, path, due))
        return [answer.result() for answer in sending]

    def _send(self, kind: str, path: str, due: float) -> Answer:
        sent = time.monotonic()
        connection: HTTPConnection | None = getattr(self._thread, "connection", None)
        if connection is None:
            connection = HTTPConnection(str(self._url.hostname), self._url.port, timeout=_PATIENCE_SECONDS)
            self._thread.connection = connection
            self._connections.append(connection)
        status = None
        try:
            connection.request("GET", self._url.path + path, headers=self._headers)
            answer = connection.getresponse()
            answer.read()
            status = answer.status
        except (OSError, HTTPException):
            connection.close()  # the next request opens another
        return Answer(kind, status, due, sent, time.monotonic())
