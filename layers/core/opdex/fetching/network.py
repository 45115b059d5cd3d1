"""The way out: connections to checked addresses alone, each read and write within the fetch's one deadline."""

import ssl
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

import httpcore

from opdex.errors import OpdexError, OutboundUnavailable, SourceRefused, SourceTimeout, SourceUnreachable
from opdex.fetching.addresses import Address, is_loopback, is_public
from opdex.fetching.deadline import Deadline
from opdex.fetching.name_lookup import LookUpFailed, NameUnknown, look_up
from opdex.fetching.source_url import leads_to_this_machine, read_address

# Tried only where a server is not reached: if this is not reached either, the server is not to blame.
_CONTROL_NAME: Final = "checkip.amazonaws.com"
_CONTROL_SECONDS: Final = 2.0
_MOST_ADDRESSES: Final = 4
_dial: Final = httpcore.SyncBackend().connect_tcp


class Dial(Protocol):
    """Opens a TCP connection to an address. Raises httpcore's ConnectError and ConnectTimeout."""

    def __call__(self, host: str, port: int, timeout: float | None = None) -> httpcore.NetworkStream: ...


class PublicNetwork(httpcore.NetworkBackend):
    """Connects to public addresses: one look-up a connection, and it goes to the very address that was checked.

    A name is refused if any of its addresses is not public. With ``loopback`` a host that is written as this machine's
    own is reached, and there only.
    """

    def __init__(
        self,
        deadline: Deadline,
        *,
        connect_seconds: float,
        loopback: bool = False,
        look_up: Callable[[str, float], list[Address]] = look_up,
        dial: Dial = _dial,
    ) -> None:
        self._deadline = deadline
        self._connect_seconds = connect_seconds
        self._loopback = loopback
        self._look_up = look_up
        self._dial = dial

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Return a connection to a host; its time is the deadline's, not ``timeout``.

        Raises SourceRefused, and a SourceError where there is none to be had.
        """
        is_ours = self._loopback and leads_to_this_machine(host)
        problem: OpdexError
        try:
            return self._connect(host, port, self._addresses(host), is_loopback if is_ours else is_public)
        except NameUnknown:
            # The same words as for a name that has only inner addresses: which of those exist is not for telling.
            problem = _refused(host)
        except LookUpFailed:
            problem = SourceUnreachable(f"The name servers of {host} do not answer.")
        except (SourceUnreachable, SourceTimeout) as error:
            problem = error
        if not is_ours:
            self._require_way_out()
        raise problem

    def _addresses(self, host: str) -> list[Address]:
        address = read_address(host)
        return self._look_up(host, self._deadline.left(self._connect_seconds)) if address is None else [address]

    def _connect(
        self, host: str, port: int, addresses: list[Address], is_allowed: Callable[[Address], bool]
    ) -> httpcore.NetworkStream:
        if not addresses or not all(map(is_allowed, addresses)):
            raise _refused(host)
        problem: Exception | None = None
        for address in addresses[:_MOST_ADDRESSES]:
            try:
                stream = self._dial(str(address), port, timeout=self._deadline.left(self._connect_seconds))
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = error
                continue
            if _peer(stream) != address:
                stream.close()
                raise _refused(host)
            return _TimedStream(stream, self._deadline)
        if isinstance(problem, httpcore.ConnectTimeout):
            raise SourceTimeout(f"{host} does not answer: no connection within {self._connect_seconds:g} s.")
        raise SourceUnreachable(f"{host} refuses the connection, or there is no way to it.")

    def _require_way_out(self) -> None:
        # In time of its own, for the deadline's may be used up; nothing follows that would need it.
        try:
            address = self._look_up(_CONTROL_NAME, _CONTROL_SECONDS)[0]
            self._dial(str(address), 443, timeout=_CONTROL_SECONDS).close()
        except (NameUnknown, LookUpFailed, httpcore.ConnectError, httpcore.ConnectTimeout):
            raise OutboundUnavailable from None


class _TimedStream(httpcore.NetworkStream):
    """A connection whose every step has what is left of the deadline: a server that trickles gains nothing by it."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.left())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        try:
            stream = self._stream.start_tls(ssl_context, server_hostname, self._deadline.left())
        except httpcore.ConnectError as error:
            raise SourceUnreachable(f"No TLS connection to {server_hostname}: {_tls_problem(error)}.") from None
        return _TimedStream(stream, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _peer(stream: httpcore.NetworkStream) -> Address | None:
    host, *_ = stream.get_extra_info("server_addr")
    return read_address(host)


def _tls_problem(error: Exception) -> str:
    cause = error.__cause__ or error.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not valid ({cause.verify_message})"
    return "its handshake failed"


def _refused(host: str) -> SourceRefused:
    return SourceRefused(f"{host} has no address, or not only addresses, of the public internet.", field="source_url")
