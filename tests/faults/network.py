"""The network between workers and Postgres: a TCP proxy that can fall silent as a pulled cable does."""

import contextlib
import ctypes
import selectors
import socket
import struct
import threading
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

# Linux. A filter on a socket sees each packet before TCP does: what it drops is not even acknowledged.
_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27
_DROP_EVERYTHING = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # "return 0 bytes of it"
_FILTER = struct.pack("HP", 1, ctypes.addressof(_DROP_EVERYTHING))


class Network:
    """Forwards connections to Postgres. A context manager.

    ``fall_silent`` drops every packet without a word: no RST, no FIN, no ACK, for open connections and new ones alike.
    ``hang`` still acknowledges everything, as a machine does whose server or proxy is stuck, and forwards nothing.
    """

    def __init__(self, postgres_url: str) -> None:
        self._url = urlsplit(postgres_url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._peers: dict[socket.socket, socket.socket] = {}
        self._from_workers: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._forwards = threading.Event()
        self._forwards.set()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="network")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closed = True
        self._forwards.set()
        self._thread.join()
        for connection in list(self._peers):
            connection.close()
        self._listener.close()
        self._selector.close()

    @property
    def url(self) -> str:
        """The URL of the database behind it."""
        address = f"{self._url.username}:{self._url.password}@127.0.0.1:{self._listener.getsockname()[1]}"
        return self._url._replace(netloc=address).geturl()

    def fall_silent(self) -> None:
        """Drop everything from now on."""
        with self._lock:
            self._forwards.clear()
            for connection in (self._listener, *self._from_workers):
                connection.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, _FILTER)

    def hang(self) -> None:
        """Take everything from now on, and forward nothing."""
        with self._lock:
            self._forwards.clear()

    def recover(self) -> None:
        """Forward again, also what was sent meanwhile and is still being sent again."""
        with self._lock:
            for connection in (self._listener, *self._from_workers):
                with contextlib.suppress(OSError):  # without a filter
                    connection.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
            self._forwards.set()

    def _run(self) -> None:
        while not self._closed:
            ready = self._selector.select(0.05)
            self._forwards.wait()
            with self._lock:
                if not self._forwards.is_set():
                    continue
                for key, _ in ready:
                    connection = key.fileobj
                    assert isinstance(connection, socket.socket)
                    if connection is self._listener:
                        self._accept()
                    elif connection in self._peers:
                        self._forward(connection)

    def _accept(self) -> None:
        worker, _ = self._listener.accept()
        try:
            server = socket.create_connection((self._url.hostname or "", self._url.port or 0))
        except OSError:
            worker.close()
            return
        for connection, peer in ((worker, server), (server, worker)):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._peers[connection] = peer
            self._selector.register(connection, selectors.EVENT_READ)
        self._from_workers.add(worker)

    def _forward(self, connection: socket.socket) -> None:
        peer = self._peers[connection]
        try:
            if data := connection.recv(65_536):
                peer.sendall(data)
                return
        except OSError:
            pass  # reset: ended like any other
        for end in (connection, peer):
            self._selector.unregister(end)
            self._peers.pop(end)
            self._from_workers.discard(end)
            end.close()
