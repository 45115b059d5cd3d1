"""One document from its URL, if it has changed; redirects are checked as the URL itself is."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeGuard

import httpcore
import httpx

from opdex.errors import SourceFailed, SourceRefused, SourceTimeout, SourceUnreachable
from opdex.fetching.body import read_body
from opdex.fetching.deadline import Deadline
from opdex.fetching.network import PublicNetwork
from opdex.fetching.source_url import leads_to_this_machine, read_source_url
from opdex.settings import FetchSettings

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS: Final = 5
_MOST_VALIDATOR_CHARACTERS: Final = 1000
_HEADERS: Final = {
    "User-Agent": "opdex",
    "Accept": "application/json, application/yaml, */*;q=0.8",
    "Accept-Encoding": "gzip",
    "Connection": "close",
}


@dataclass(frozen=True, slots=True)
class Fetched:
    """A document as its server sent it, and the two validators by which to ask whether it has changed."""

    content: bytes
    etag: str | None
    last_modified: str | None


class Fetcher:
    """Fetches documents. It keeps nothing from one to the next: no connection, no cookie, no proxy, no password."""

    def __init__(
        self, settings: FetchSettings, limit_bytes: int, network: Callable[..., PublicNetwork] = PublicNetwork
    ) -> None:
        self._settings = settings
        self._limit_bytes = limit_bytes
        self._network = network

    def spell(self, source_url: str) -> str:
        """Return a URL in its one spelling. Raises SourceRefused where it may not be fetched from."""
        return str(read_source_url(source_url, loopback=self._settings.fetch_loopback))

    def fetch(self, source_url: str, *, etag: str | None = None, last_modified: str | None = None) -> Fetched | None:
        """Return the document, or None where the server says that it is still the one with these validators.

        Raises SourceRefused, a SourceError, and TooLarge.
        """
        deadline = Deadline(self._settings.fetch_seconds)
        loopback = self._settings.fetch_loopback
        url = read_source_url(source_url, loopback=loopback)
        conditions = {"If-None-Match": etag, "If-Modified-Since": last_modified}
        headers = {**_HEADERS, **{name: value for name, value in conditions.items() if _can_be_sent(value)}}
        for _ in range(_MOST_REDIRECTS + 1):
            # Where the internet redirects to, there is no way back to this machine.
            loopback = loopback and leads_to_this_machine(url.raw_host.decode())
            network = self._network(deadline, connect_seconds=self._settings.fetch_connect_seconds, loopback=loopback)
            answer = self._ask(url, headers, network)
            if isinstance(answer, httpx.URL):
                url = _redirected(url, answer, loopback)
                continue
            return answer
        raise SourceFailed(f"The URL redirects more than {_MOST_REDIRECTS} times.")

    def _ask(self, url: httpx.URL, headers: dict[str, str], network: PublicNetwork) -> Fetched | httpx.URL | None:
        """Return the document, the URL that the server redirects to, or None for a document that has not changed."""
        host = url.raw_host.decode()
        sent = [("Host", url.netloc.decode()), *headers.items()]
        tls = self._tls if url.scheme == "https" else None
        try:
            with (
                httpcore.ConnectionPool(tls, network_backend=network) as pool,
                pool.stream("GET", _as_checked(url), headers=sent) as answer,
            ):
                said = httpx.Headers(answer.headers)
                if answer.status in _REDIRECTS:
                    return _joined(url, said.get("Location", ""))
                if answer.status == 304 and headers.keys() & {"If-None-Match", "If-Modified-Since"}:
                    return None
                if answer.status != 200:
                    raise SourceFailed(f"{host} answered {answer.status}.", status=answer.status)
                content = read_body(answer.iter_stream(), said.get("Content-Encoding", ""), self._limit_bytes)
        except httpcore.TimeoutException:
            raise SourceTimeout(
                f"{host} did not deliver the document within {self._settings.fetch_seconds:g} s."
            ) from None
        except httpcore.NetworkError:
            raise SourceUnreachable(f"{host} broke the connection off.") from None
        except httpcore.ProtocolError:
            raise SourceFailed(f"{host} answered with something that is no HTTP, or broke off.") from None
        return Fetched(content, _validator(said, "ETag"), _validator(said, "Last-Modified"))

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        # Loading the authorities takes longer than a request.
        return httpx.create_ssl_context()


def _as_checked(url: httpx.URL) -> httpcore.URL:
    # By its parts: read as text a second time, it might be understood in another way.
    return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)


def _redirected(url: httpx.URL, target: httpx.URL, loopback: bool) -> httpx.URL:
    try:
        return read_source_url(str(target), loopback=loopback)
    except SourceRefused as refused:
        host = url.raw_host.decode()
        raise SourceRefused(
            f"{host} redirects to where nothing is fetched: {refused.message}", **refused.details
        ) from None


def _joined(url: httpx.URL, location: str) -> httpx.URL:
    try:
        if not location:
            raise ValueError(location)
        return url.join(location)
    except (httpx.InvalidURL, ValueError):
        raise SourceFailed(f"{url.raw_host.decode()} redirects to nowhere.") from None


def _validator(headers: httpx.Headers, name: str) -> str | None:
    value = headers.get(name)
    return value if _can_be_sent(value) else None


def _can_be_sent(validator: str | None) -> TypeGuard[str]:
    return bool(
        validator and validator.isascii() and validator.isprintable() and len(validator) <= _MOST_VALIDATOR_CHARACTERS
    )
