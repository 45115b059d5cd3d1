"""A server of documents, as publishers run them and as attackers would: each path is answered as a test has it."""

import ssl
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

type Reply = Callable[["Exchange"], None]


class Exchange(BaseHTTPRequestHandler):
    """One request, and its reply; everything about it stays out of the log."""

    server: "_Listener"

    def do_GET(self) -> None:
        self.server.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        reply = self.server.replies.get(self.path)
        if reply is None:
            self.send_error(404)
        else:
            reply(self)
        self.close_connection = True

    def reply(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        """Send a whole answer."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        pass


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.replies: dict[str, Reply] = {}
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that turns away is what many tests are about


class DocumentServer:
    """Listens on a free loopback port. A context manager; ``requests`` are what it was asked, with their headers."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._listener = _Listener(tls)
        self.port = self._listener.server_port
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self.requests = self._listener.requests
        self.ending = threading.Event()

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ending.set()
        self._listener.shutdown()
        self._thread.join()
        self._listener.server_close()

    def answer(self, path: str, reply: Reply) -> str:
        """Have a path answered by a function; returns its URL."""
        self._listener.replies[path] = reply
        return self.url + path

    def serve(self, path: str, body: bytes = b"", *, status: int = 200, **headers: str) -> str:
        """Have a path answered in one way; underscores in a header's name stand for hyphens. Returns its URL."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.answer(path, lambda exchange: exchange.reply(status, body, sent))

    def publish(self, path: str, body: bytes, *, etag: str = "", last_modified: str = "") -> str:
        """Serve a document with its validators, and 304 to those who have it already; returns its URL."""
        validators = {"ETag": etag, "Last-Modified": last_modified}
        sent = {name: value for name, value in validators.items() if value}

        def reply(exchange: Exchange) -> None:
            known = {exchange.headers.get("If-None-Match"), exchange.headers.get("If-Modified-Since")}
            if known & set(sent.values()):
                exchange.reply(304, headers=sent)
            else:
                exchange.reply(200, body, sent)

        return self.answer(path, reply)
