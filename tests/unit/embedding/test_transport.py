import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from opdex.embedding import transport
from opdex.embedding.transport import Deadline, ErrorAnswer, ProviderClient, retry_after
from opdex.errors import (
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
from tests.ollama_server import Failure, OllamaServer
from tests.unit.embedding.conftest import Clock

BODY = {"model": "nomic-embed-text", "input": ["a"]}
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def client(answer: Callable[[httpx.Request], httpx.Response]) -> ProviderClient:
    return ProviderClient("http://provider.example/base", httpx.MockTransport(answer))


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (429, ProviderThrottled),
        (502, ProviderUnavailable),
        (503, ProviderUnavailable),
        (504, ProviderUnavailable),
        (408, ProviderTimeout),
        (400, TextRejected),
        (413, TextRejected),
        (422, TextRejected),
        (500, ProviderFailed),
        (501, ProviderFailed),
        (301, ProviderRefused),
        (401, ProviderRefused),
        (403, ProviderRefused),
        (404, ProviderRefused),
    ],
)
def test_error_answer_is_the_failure_that_its_status_stands_for_when_asked(
    status: int, failure: type[ProviderError]
) -> None:
    with pytest.raises(ErrorAnswer) as raised:
        client(lambda _: httpx.Response(status, json={"error": "so it is"})).get("/x", Deadline(1))
    error = raised.value.as_provider_error()
    assert type(error) is failure
    assert error.message == f"The embedding provider answered {status}: so it is"


def test_newest_key_goes_along_when_there_is_one() -> None:
    sent: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers["Authorization"])
        return httpx.Response(200, json={})

    keys = iter(("old", "rotated"))
    provider = ProviderClient("https://provider.example", httpx.MockTransport(answer), key=lambda: next(keys))
    provider.get("/x", Deadline(1))
    provider.post("/x", BODY, Deadline(1))
    assert sent == ["Bearer old", "Bearer rotated"]


def test_no_key_goes_along_when_there_is_none() -> None:
    sent: list[httpx.Headers] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers)
        return httpx.Response(200, json={})

    client(answer).get("/x", Deadline(1))
    assert "Authorization" not in sent[0]


@pytest.mark.parametrize("status", [429, 503])
def test_error_answer_carries_the_wait_when_the_server_asks_for_one(status: int) -> None:
    error = ErrorAnswer(status, httpx.Headers({"retry-after": "7"}), b"").as_provider_error()
    assert isinstance(error, ProviderThrottled | ProviderUnavailable)
    assert error.retry_after == 7


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error": "out\\n of  memory"}', "out of memory"),
        (b'{"error": {"message": "too much", "type": "x"}}', "too much"),
        (b'{"detail": "Not Found"}', "Not Found"),
        (b"<html>bad\r\ngateway</html>", "<html>bad gateway</html>"),
        (b"[" * 100_000, "[" * 299 + "…"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"", ""),
    ],
)
def test_said_is_one_short_line_when_the_answer_is_anything(body: bytes, said: str) -> None:
    assert ErrorAnswer(500, {}, body).said == said


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        ("1.5", 1.5),
        ("Wed, 21 Oct 2026 07:28:30 GMT", 30),
        ("Wed, 21 Oct 2026 07:27:00 GMT", 0),
        ("", None),
        ("soon", None),
        ("-3", None),
        ("inf", None),
        ("9" * 400, None),
    ],
)
def test_retry_after_is_read_in_both_forms_when_it_can_be(asked: str, seconds: float | None) -> None:
    headers = httpx.Headers({"Retry-After": asked, "Date": "Wed, 21 Oct 2026 07:28:00 GMT"})
    assert retry_after(headers) == seconds


def test_retry_after_counts_from_now_when_the_server_gives_no_date() -> None:
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    seconds = retry_after({"Retry-After": until})
    assert seconds is not None
    assert 80 < seconds <= 90


def test_post_goes_below_the_path_of_the_url_when_it_has_one() -> None:
    provider = client(lambda request: httpx.Response(200, json=str(request.url)))
    assert provider.post("/api/embed", BODY, Deadline(1)) == "http://provider.example/base/api/embed"


def test_post_raises_misbehaved_when_the_answer_is_not_json() -> None:
    with pytest.raises(ProviderMisbehaved, match="something other than JSON"):
        client(lambda _: httpx.Response(200, text="<html>")).post("/x", BODY, Deadline(1))


def test_post_raises_misbehaved_when_the_answer_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MAX_ANSWER_BYTES", 1_000)
    pieces = []

    def endless() -> Iterator[bytes]:
        while True:
            pieces.append(b" " * 600)
            yield pieces[-1]

    with pytest.raises(ProviderMisbehaved, match="larger than 1000 bytes"):
        client(lambda _: httpx.Response(200, content=endless())).post("/x", BODY, Deadline(1))
    assert len(pieces) == 2


def test_post_raises_misbehaved_when_the_answer_cannot_be_unpacked() -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=iter([b"no gzip"]), headers={"Content-Encoding": "gzip"})

    with pytest.raises(ProviderMisbehaved, match="cannot be read"):
        client(answer).post("/x", BODY, Deadline(1))


@pytest.mark.parametrize(
    ("raised", "failure"),
    [
        (httpx.ConnectError("Connection refused"), ProviderUnavailable),
        (httpx.ConnectTimeout("timed out"), ProviderUnreached),
        (httpx.ReadError("Connection reset by peer"), ProviderUnavailable),
        (httpx.RemoteProtocolError("Server disconnected"), ProviderUnavailable),
        (httpx.ReadTimeout("timed out"), ProviderTimeout),
        (httpx.WriteTimeout("timed out"), ProviderTimeout),
    ],
)
def test_post_raises_unavailable_or_timeout_when_the_connection_fails(
    raised: httpx.HTTPError, failure: type[ProviderError]
) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        raise raised

    with pytest.raises(failure) as caught:
        client(answer).post("/x", BODY, Deadline(1))
    assert type(caught.value) is failure


def test_messages_keep_the_password_to_themselves_when_the_url_holds_one() -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("Connection refused")

    provider = ProviderClient("http://user:s3cret@provider.example:8080", httpx.MockTransport(answer))
    with pytest.raises(ProviderUnavailable) as caught:
        provider.get("/x", Deadline(1))
    assert "s3cret" not in caught.value.message
    assert "provider.example:8080" in caught.value.message


def test_post_raises_timeout_when_the_deadline_has_passed() -> None:
    with pytest.raises(ProviderTimeout):
        client(lambda _: httpx.Response(200, json={})).post("/x", BODY, Deadline(0))


@pytest.mark.parametrize("headers_first", [False, True])
def test_post_raises_timeout_when_the_server_hangs(headers_first: bool) -> None:
    with OllamaServer() as server:
        server.fail(Failure("hang", seconds=60, headers_first=headers_first))
        provider = ProviderClient(server.url)
        with pytest.raises(ProviderTimeout):
            provider.post("/api/embed", BODY, Deadline(0.3))
        assert server.calls == []  # it is hanging still
        provider.close()


def test_body_gets_what_the_headers_left_of_the_deadline_when_it_is_read(clock: Clock) -> None:
    limits: list[float] = []

    def answer(request: httpx.Request) -> httpx.Response:
        limits.append(request.extensions["timeout"]["read"])
        clock.now += 45

        def body() -> Iterator[bytes]:
            limits.append(request.extensions["timeout"]["read"])
            yield b"{}"

        return httpx.Response(200, content=body())

    client(answer).post("/x", BODY, Deadline(60))
    assert limits == [60, 15]


# What httpx puts no limit to, since it counts each connect, write and read by itself.


@contextmanager
def serving(speak: Callable[[socket.socket], None]) -> Iterator[str]:
    """Serve connections, each by a thread that speaks until it is done or cut off; yield the URL."""
    speaking: list[threading.Thread] = []

    def take(listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            speaking.append(threading.Thread(target=talk, args=(connection,), daemon=True))
            speaking[-1].start()

    def talk(connection: socket.socket) -> None:
        with connection, suppress(OSError):  # it is cut off
            speak(connection)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        taking = threading.Thread(target=take, args=(listening,))
        taking.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            taking.join()
    for thread in speaking:
        thread.join(30)


def ended() -> bool:
    """Return whether all threads of calls end."""
    threads = [thread for thread in threading.enumerate() if thread.name == "provider-call"]
    for thread in threads:
        thread.join(10)
    return not any(thread.is_alive() for thread in threads)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("beginning", "piece"),
    [(b"", b"X-More: of it\r\n"), (b"Content-Length: 1000000\r\n\r\n", b"{"), (b"Content-Length: 2\r\n\r\n{", b"")],
    ids=["headers", "body", "nothing"],
)
def test_post_raises_timeout_and_cuts_the_server_off_when_it_trickles(beginning: bytes, piece: bytes) -> None:
    cut_off = threading.Event()

    def trickle(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + beginning)
        connection.settimeout(0.05)
        try:
            while not is_cut_off(connection):
                connection.sendall(piece)
        finally:
            cut_off.set()

    with serving(trickle) as url, closing(ProviderClient(url)) as provider:
        with pytest.raises(ProviderTimeout):
            provider.post("/x", BODY, Deadline(0.5))
        assert ended()
        assert cut_off.wait(10)


def is_cut_off(connection: socket.socket) -> bool:
    """Return whether the other side has closed the connection, after having waited a little for it."""
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False


def test_post_raises_timeout_once_when_each_of_several_addresses_takes_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    with ExitStack() as sockets:
        addresses = [sockets.enter_context(full()) for _ in range(3)]
        entries = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: entries)
        provider = sockets.enter_context(closing(ProviderClient("http://provider.example")))
        with pytest.raises(ProviderTimeout) as raised:
            provider.post("/x", BODY, Deadline(0.5))
        assert type(raised.value) is ProviderTimeout  # all of them have been tried where it is ProviderUnreached
        assert ended()


@contextmanager
def full() -> Iterator[tuple[str, int]]:
    """Yield an address that takes no more connections, and refuses none."""
    with ExitStack() as sockets:
        listening = sockets.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield listening.getsockname()


def test_post_raises_unreached_when_the_server_takes_no_connection() -> None:
    with (
        full() as (host, port),
        closing(ProviderClient(f"http://{host}:{port}")) as provider,
        pytest.raises(ProviderUnreached, match="took no connection in time"),
    ):
        provider.post("/x", BODY, Deadline(0.5))


def test_post_raises_timeout_when_no_name_server_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    let_go = threading.Event()

    def look_up(*_: Any, **__: Any) -> list[Any]:
        let_go.wait(10)
        raise socket.gaierror(socket.EAI_AGAIN, "no name server")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with closing(ProviderClient("http://provider.example")) as provider:
        with pytest.raises(ProviderTimeout):
            provider.post("/x", BODY, Deadline(0.1))
        assert not let_go.is_set()
        let_go.set()
        assert ended()


def test_post_raises_timeout_and_sends_nothing_later_when_the_key_takes_too_long() -> None:
    let_go, sent = threading.Event(), []

    def key() -> str:
        let_go.wait(10)
        return "late"

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json={})

    with closing(ProviderClient("http://provider.example", httpx.MockTransport(answer), key)) as provider:
        with pytest.raises(ProviderTimeout):
            provider.post("/x", BODY, Deadline(0.1))
        let_go.set()
        assert ended()
    assert sent == []


def test_other_calls_go_on_when_one_is_given_up() -> None:
    let_go = threading.Event()

    def speak(connection: socket.socket) -> None:
        if b"/slow" in connection.recv(65536):
            let_go.wait(20)
        connection.sendall(ANSWER)

    with serving(speak) as url, closing(ProviderClient(url)) as provider:
        answers: list[object] = []
        other = threading.Thread(target=lambda: answers.append(provider.get("/slow", Deadline(20))))
        other.start()
        with pytest.raises(ProviderTimeout):
            provider.get("/slow", Deadline(0.2))
        let_go.set()
        other.join()
        assert answers == [{}]


def test_connection_is_kept_for_the_next_call_when_one_has_gone_well() -> None:
    connections = []

    def speak(connection: socket.socket) -> None:
        connections.append(connection)
        while connection.recv(65536):
            connection.sendall(ANSWER)

    with serving(speak) as url, closing(ProviderClient(url)) as provider:
        for _ in range(3):
            assert provider.get("/x", Deadline(10)) == {}
    assert len(connections) == 1
