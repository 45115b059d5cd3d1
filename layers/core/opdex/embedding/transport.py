"""HTTP to an embedding provider: one deadline a call, bounded answers, and every failure as a ProviderError."""

import json
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import NoReturn

import httpx

from opdex.embedding.timed_calls import TimedCalls
from opdex.errors import (
    ConfigurationError,
    ProviderError,
    ProviderFailed,
    ProviderMisbehaved,
    ProviderRefused,
    ProviderThrottled,
    ProviderTimeout,
    ProviderUnavailable,
    ProviderUnreached,
    TextRejected,
)

MAX_ANSWER_BYTES = 32 * 1024 * 1024
MAX_ERROR_BYTES = 16 * 1024
MAX_QUOTED_CHARACTERS = 300
CONNECT_SECONDS = 5.0


class Deadline:
    """A moment on the monotonic clock by which a call has to be over."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds left. Raises ProviderTimeout where there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise ProviderTimeout
        return left


class ErrorAnswer(Exception):
    """An HTTP answer other than 200: its status, headers, and what the server said."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        super().__init__(status)

    @property
    def said(self) -> str:
        """What the server gives as the reason, on one line, cut to a length fit for an error message."""
        text = self.body.decode(errors="replace")
        try:
            parsed = json.loads(text)
        except (ValueError, RecursionError):
            parsed = None
        if isinstance(parsed, dict):
            reason = parsed.get("error") or parsed.get("message") or parsed.get("detail") or text
            reason = reason.get("message", reason) if isinstance(reason, dict) else reason
            text = str(reason)
        text = " ".join(text.split())
        return text if len(text) <= MAX_QUOTED_CHARACTERS else text[: MAX_QUOTED_CHARACTERS - 1] + "…"

    def as_provider_error(self) -> ProviderError:
        """Return the class of failure that the status stands for, with the server's own words."""
        message = f"The embedding provider answered {self.status}: {self.said or 'no reason given'}"
        match self.status:
            case 429:
                return ProviderThrottled(message, retry_after=retry_after(self.headers))
            case 502 | 503 | 504:
                return ProviderUnavailable(message, retry_after=retry_after(self.headers))
            case 408:
                return ProviderTimeout(message)
            case 400 | 413 | 422:
                return TextRejected(message)
            case status if status >= 500:
                return ProviderFailed(message)
            case _:
                return ProviderRefused(message)


class ProviderClient:
    """A provider's base URL and the connections to it. May be used from several threads.

    ``key`` is asked before each call for the bearer token that goes along.
    """

    def __init__(
        self, url: str, transport: httpx.BaseTransport | None = None, key: Callable[[], str] | None = None
    ) -> None:
        try:
            self._url = httpx.URL(url)
        except httpx.InvalidURL:
            self._url = httpx.URL()
        if self._url.scheme not in ("http", "https") or not self._url.host:
            raise ConfigurationError(
                "EMBEDDING_URL must be an http:// or https:// URL, such as http://127.0.0.1:11434."
            )
        on_this_machine = self._url.host in ("127.0.0.1", "::1", "localhost")
        trust_env = not on_this_machine  # a proxy meant for the internet does not know this machine
        # Loading the certificate authorities takes longer than a request.
        verify = httpx.create_ssl_context(trust_env=trust_env) if self._url.scheme == "https" else False
        self._open = partial(
            httpx.Client,
            base_url=self._url,
            transport=transport,
            verify=verify,
            trust_env=trust_env,
            headers={"Accept-Encoding": "identity", "User-Agent": "opdex"},  # no answer unpacks to more than it weighs
        )
        # A client for each call under way: one that is given up is cut off, and the others are not.
        self._clients: set[httpx.Client] = set()
        self._idle: list[httpx.Client] = []
        self._calls = TimedCalls()
        self._key = key

    @property
    def address(self) -> str:
        """The host and port, without what else the URL may hold (a password)."""
        return self._url.netloc.decode()

    def close(self) -> None:
        """Close the connections."""
        for client in tuple(self._clients):
            client.close()

    def get(self, path: str, deadline: Deadline) -> object:
        """Return the JSON that the provider answers. Raises ProviderError, or ErrorAnswer for a status but 200."""
        return self._send("GET", path, None, deadline)

    def post(self, path: str, body: object, deadline: Deadline) -> object:
        """Send JSON and return the JSON answered. Raises ProviderError, or ErrorAnswer for a status but 200."""
        return self._send("POST", path, body, deadline)

    def _send(self, method: str, path: str, body: object, deadline: Deadline) -> object:
        """Return what the provider answers by the deadline, whatever the call waits for on its way."""
        client = self._borrow()
        try:
            call = partial(self._exchange, client, method, path, body, deadline)
            return self._calls.run(call, deadline.left(), client.close)
        finally:
            self._give_back(client)

    def _borrow(self) -> httpx.Client:
        try:
            return self._idle.pop()
        except IndexError:
            client = self._open()
            self._clients.add(client)
            return client

    def _give_back(self, client: httpx.Client) -> None:
        if client.is_closed:
            self._clients.discard(client)
        else:
            self._idle.append(client)

    def _exchange(self, client: httpx.Client, method: str, path: str, body: object, deadline: Deadline) -> object:
        headers = {"Authorization": f"Bearer {self._key()}"} if self._key is not None else None
        left = deadline.left()
        timeout = httpx.Timeout(left, connect=min(left, CONNECT_SECONDS))
        request = client.build_request(method, path, json=body, timeout=timeout, headers=headers)
        try:
            answer = client.send(request, stream=True)
            try:
                # httpx counts each read by itself. Reading the body looks the limit up again: it gets what is left.
                request.extensions["timeout"]["read"] = deadline.left()
                raw = _read(answer, deadline, MAX_ANSWER_BYTES if answer.status_code == 200 else MAX_ERROR_BYTES)
            finally:
                answer.close()
        except httpx.HTTPError as error:
            self._raise_for(error)
        if answer.status_code != 200:
            raise ErrorAnswer(answer.status_code, answer.headers, raw)
        if len(raw) > MAX_ANSWER_BYTES:
            raise ProviderMisbehaved(f"The embedding provider's answer is larger than {MAX_ANSWER_BYTES} bytes.")
        try:
            parsed: object = json.loads(raw)
        except (ValueError, RecursionError):
            raise ProviderMisbehaved("The embedding provider answered something other than JSON.") from None
        return parsed

    def _raise_for(self, error: httpx.HTTPError) -> NoReturn:
        reason = " ".join(str(error).split())[:MAX_QUOTED_CHARACTERS] or type(error).__name__
        if isinstance(error, httpx.ConnectTimeout):
            raise ProviderUnreached(f"The embedding provider at {self.address} took no connection in time.") from error
        if isinstance(error, httpx.TimeoutException):
            raise ProviderTimeout(f"The embedding provider at {self.address} did not answer in time.") from error
        if isinstance(error, httpx.TransportError):
            raise ProviderUnavailable(f"The embedding provider at {self.address} is away: {reason}") from error
        raise ProviderMisbehaved(f"The embedding provider's answer cannot be read: {reason}") from error


def _read(answer: httpx.Response, deadline: Deadline, limit: int) -> bytes:
    """Return the body, or of a larger one a piece that is larger than ``limit``."""
    raw = bytearray()
    for piece in answer.iter_bytes():
        raw += piece
        if len(raw) > limit:
            break
        deadline.left()
    return bytes(raw)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that Retry-After asks for, in either of its forms; None where it asks for nothing readable."""
    asked = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", asked):
        return float(asked)
    until = _date(asked)
    if until is None:
        return None
    # The server's own clock, where it tells, leaves the difference between the two clocks out.
    now = _date(headers.get("Date", "")) or datetime.now(UTC)
    return max(0.0, (until - now).total_seconds())


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
