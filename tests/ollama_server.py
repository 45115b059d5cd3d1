"""An HTTP server that answers as Ollama does, as fast and as badly as a test wants.

In a test: ``with OllamaServer(seconds_per_text=0.1) as server: …  server.url, server.calls``.
By hand: ``python -m tests.ollama_server --port 11434 --seconds-per-text 3.7``.
"""

import argparse
import contextlib
import json
import math
import re
import socket
import threading
import time
import zlib
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, NamedTuple, Self

DIMENSION = 64
MODEL = "nomic-embed-text"

type Spoiling = Literal["wrong_count", "wrong_dimension", "nan", "zero"]


def vector_of(text: str) -> list[float]:
    """Return the text's vector: its words counted in hashed buckets, so that texts with words in common are near."""
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+", text) or [text]
    vector = [0.0] * DIMENSION
    for word in words:
        vector[zlib.crc32(word.lower().encode()) % DIMENSION] += 1.0
    return vector


def _unit(vector: list[float]) -> list[float]:
    length = math.hypot(*vector)
    return [value / length for value in vector]


@dataclass(frozen=True)
class Call:
    """One embedding call as the server saw it; moments are those of the monotonic clock."""

    route: str
    texts: tuple[str, ...]
    started: float
    ended: float
    at_once: int  # calls under way when it came in, itself included
    status: int | None  # None where the connection was cut
    caller: str = ""  # what the client's base URL says after the port: http://127.0.0.1:1234/caller
    failure: "Failure | None" = None  # how it was made to go wrong


@dataclass(frozen=True)
class Failure:
    """How one call goes wrong."""

    kind: Literal["status", "hang", "cut"] | Spoiling
    status: int = 500
    message: str = "scripted failure"
    retry_after: str | None = None
    seconds: float = 3600.0  # a hang ends earlier with the server
    headers_first: bool = False  # a hang after the headers and not before


class _Reply(NamedTuple):
    status: int
    body: bytes
    headers: dict[str, str] | None = None


class OllamaServer:
    """The server, on 127.0.0.1. Its speed, routes and failures may be changed while it runs."""

    def __init__(
        self,
        *,
        port: int = 0,
        base_seconds: float = 0.0,
        seconds_per_text: float = 0.0,
        slow_marker: str = "",
        has_embed: bool = True,
        has_embeddings: bool = True,
        models: Iterable[str] = (MODEL,),
        rejected_marker: str | None = None,
        context_length: int | None = None,
        calls_at_once: int = 1_000,
        counts_tokens: bool = True,
    ) -> None:
        self.base_seconds = base_seconds
        self.seconds_per_text = seconds_per_text
        self.slow_marker = slow_marker  # only the texts that hold it take these seconds
        self.has_embed = has_embed
        self.has_embeddings = has_embeddings
        self.models = tuple(models)
        self.rejected_marker = rejected_marker  # a text that holds it is answered with 400
        self.context_length = context_length  # in characters here; longer texts are answered with 400
        self.processor = threading.Semaphore(calls_at_once)  # 1: works calls off one by one, as a model on a CPU
        self.counts_tokens = counts_tokens
        self.outage: Failure | None = None  # every call goes wrong this way, until it is None again
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._calls: list[Call] = []
        self._failures: deque[Failure] = deque()
        self._under_way = 0
        self._http = _Server(port, self)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), name="ollama-server")

    @property
    def url(self) -> str:
        """Where the server is."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def calls(self) -> list[Call]:
        """The embedding calls that have ended, in the order of their ends."""
        with self._lock:
            return list(self._calls)

    @property
    def texts(self) -> list[str]:
        """The texts of all calls that succeeded, in order, as often as they were sent."""
        return [text for call in self.calls if call.status == HTTPStatus.OK for text in call.texts]

    @property
    def under_way(self) -> int:
        """The calls being answered now."""
        with self._lock:
            return self._under_way

    def fail(self, *failures: Failure, times: int = 1) -> None:
        """Let the next embedding calls go wrong, one a failure, after those already scripted."""
        with self._lock:
            self._failures.extend(failures * times)

    def start(self) -> Self:
        """Begin to serve."""
        self._thread.start()
        return self

    def close(self) -> None:
        """End every call under way and stop."""
        self.closing.set()
        self._http.shutdown()
        self._thread.join()
        self._http.cut_connections()
        self._http.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    # What the request handler asks for.

    def begin(self) -> tuple[int, Failure | None]:
        """Count a call in, and return how many are under way and how this one goes wrong."""
        with self._lock:
            self._under_way += 1
            return self._under_way, self.outage or (self._failures.popleft() if self._failures else None)

    def end(self, call: Call) -> None:
        """Count a call out."""
        with self._lock:
            self._under_way -= 1
            self._calls.append(call)


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 128

    def __init__(self, port: int, owner: OllamaServer) -> None:
        self.owner = owner
        self._connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self._connections.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def cut_connections(self) -> None:
        for connection in list(self._connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # the other side was faster

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that does not wait for its answer is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""

    def do_GET(self) -> None:
        owner = self.server.owner
        _, route = self._caller_and_route()
        if route == "/api/version":
            self._answer(200, _encoded({"version": "0.13.0"}))
        elif route == "/api/tags":
            models = [{"name": f"{name}:latest", "model": f"{name}:latest"} for name in owner.models]
            self._answer(200, _encoded({"models": models}))
        else:
            self._no_route()

    def do_POST(self) -> None:
        owner = self.server.owner
        caller, route = self._caller_and_route()
        raw = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if (route == "/api/embed" and owner.has_embed) or (route == "/api/embeddings" and owner.has_embeddings):
            try:
                body = json.loads(raw)
                texts = [body["prompt"]] if route == "/api/embeddings" else body["input"]
                texts = [texts] if isinstance(texts, str) else texts
            except (ValueError, KeyError, TypeError) as error:
                self._answer(400, _encoded({"error": f"invalid request: {error!r}"}))
                return
            started = time.monotonic()
            at_once, failure = owner.begin()
            reply: _Reply | None = None
            try:
                reply = self._embed(str(body.get("model")), route, texts, failure)
            finally:
                # Before the answer goes out: whoever has it finds the call recorded.
                ended, status = time.monotonic(), reply and reply.status
                owner.end(Call(route, tuple(texts), started, ended, at_once, status, caller, failure))
            if reply is None:
                self.close_connection = True
            else:
                self._answer(reply.status, reply.body, reply.headers)
        else:
            self._no_route()

    def _caller_and_route(self) -> tuple[str, str]:
        caller, slash, route = self.path.partition("/api/")
        return caller.strip("/"), slash + route

    def _embed(self, model: str, route: str, texts: Sequence[str], failure: Failure | None) -> _Reply | None:
        """Return the answer, good or bad; None where the connection is to be cut instead."""
        owner = self.server.owner
        if failure is not None and failure.kind == "status":
            headers = {} if failure.retry_after is None else {"Retry-After": failure.retry_after}
            return _Reply(failure.status, _encoded({"error": failure.message}), headers)
        if failure is not None and failure.kind in ("hang", "cut"):
            if failure.headers_first:
                owner.closing.wait(owner.base_seconds)
                self._head(200, 1_000, {})
            if failure.kind == "hang":
                owner.closing.wait(failure.seconds)
            return None
        if model.removesuffix(":latest") not in owner.models:
            return _Reply(404, _encoded({"error": f'model "{model}" not found, try pulling it first'}))
        if owner.rejected_marker and any(owner.rejected_marker in text for text in texts):
            return _Reply(400, _encoded({"error": "the input cannot be embedded"}))
        if owner.context_length and any(len(text) > owner.context_length for text in texts):
            return _Reply(400, _encoded({"error": "the input length exceeds the context length"}))
        with owner.processor:
            # The server's own work is part of the time a call takes, not on top of it.
            slow = sum(owner.slow_marker in text for text in texts)
            due = time.monotonic() + owner.base_seconds + owner.seconds_per_text * slow
            reply = self._vectors(model, route, texts, failure)
            owner.closing.wait(max(0.0, due - time.monotonic()))
        return reply

    def _vectors(self, model: str, route: str, texts: Sequence[str], failure: Failure | None) -> _Reply:
        vectors = _spoilt([vector_of(text) for text in texts], failure.kind if failure else None)
        if route == "/api/embeddings":
            return _Reply(200, _encoded({"embedding": vectors[0] if vectors else []}))
        # Like the real one, only this route scales vectors to length 1.
        answer: dict[str, Any] = {"model": model, "embeddings": [_unit(v) if any(v) else v for v in vectors]}
        if self.server.owner.counts_tokens:
            answer["prompt_eval_count"] = sum(len(text.split()) for text in texts)
        return _Reply(200, _encoded(answer))

    def _no_route(self) -> None:
        raw = b"404 page not found"
        self._head(404, len(raw), {"Content-Type": "text/plain"})
        self.wfile.write(raw)

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self._head(status, len(body), {"Content-Type": "application/json", **(headers or {})})
        self.wfile.write(body)

    def _head(self, status: int, length: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()


def _encoded(body: object) -> bytes:
    return json.dumps(body).encode()


def _spoilt(vectors: list[list[float]], kind: str | None) -> list[list[float]]:
    match kind:
        case "wrong_count":
            return vectors[:-1]
        case "wrong_dimension":
            return [*vectors[:-1], vectors[-1][:-1]]
        case "nan":
            return [*vectors[:-1], [math.nan, *vectors[-1][1:]]]
        case "zero":
            return [*vectors[:-1], [0.0] * DIMENSION]
        case _:
            return vectors


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="An Ollama-shaped embedding server, for tests and trying out.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--base-seconds", type=float, default=0.0)
    parser.add_argument("--seconds-per-text", type=float, default=0.0)
    parser.add_argument("--model", action="append", help=f"a model it has; may be repeated; {MODEL} by default")
    parser.add_argument("--old-route-only", action="store_true", help="without /api/embed, as older servers are")
    options = parser.parse_args()
    server = OllamaServer(
        port=options.port,
        base_seconds=options.base_seconds,
        seconds_per_text=options.seconds_per_text,
        models=options.model or (MODEL,),
        has_embed=not options.old_route_only,
    )
    with server, contextlib.suppress(KeyboardInterrupt):
        print(server.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
