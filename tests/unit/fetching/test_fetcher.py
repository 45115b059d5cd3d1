import gzip
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from opdex.errors import SourceFailed, SourceRefused, SourceTimeout, SourceUnreachable, TooLarge
from tests.document_server import DocumentServer, Exchange
from tests.unit.fetching.internet import ADDRESS, HOST, LIMIT_BYTES, Internet

URL = f"https://{HOST}/openapi.json"


def test_document_comes_with_its_validators_when_it_is_fetched(internet: Internet, server: DocumentServer) -> None:
    server.publish("/openapi.json", b"{}", etag='W/"1"', last_modified="Tue, 24 Nov 2026 12:00:00 GMT")
    fetched = internet.fetcher().fetch(URL)
    assert fetched is not None
    assert (fetched.content, fetched.etag) == (b"{}", 'W/"1"')
    assert fetched.last_modified == "Tue, 24 Nov 2026 12:00:00 GMT"
    ((path, headers),) = server.requests
    assert path == "/openapi.json"
    assert headers.keys() == {"host", "user-agent", "accept", "accept-encoding", "connection"}
    assert headers["host"] == HOST


@pytest.mark.parametrize("validators", [{"etag": '"1"'}, {"last_modified": "Tue, 24 Nov 2026 12:00:00 GMT"}])
def test_nothing_comes_when_the_document_has_not_changed(
    internet: Internet, server: DocumentServer, validators: dict[str, str]
) -> None:
    server.publish("/openapi.json", b"{}", **validators)
    assert internet.fetcher().fetch(URL, **validators) is None
    assert internet.fetcher().fetch(URL, etag='"0"') is not None


def test_answer_is_an_error_when_it_says_unchanged_and_was_not_asked(
    internet: Internet, server: DocumentServer
) -> None:
    server.serve("/openapi.json", status=304)
    with pytest.raises(SourceFailed):
        internet.fetcher().fetch(URL)


@pytest.mark.parametrize("etag", ["", "x" * 1001, 'caf\xe9"\x80', '"caf\xe9"', "a\tb"])
def test_validator_is_left_out_when_it_cannot_be_sent_back(
    internet: Internet, server: DocumentServer, etag: str
) -> None:
    server.serve("/openapi.json", b"{}", ETag=etag)
    fetched = internet.fetcher().fetch(URL)
    assert fetched is not None
    assert fetched.etag is None


def test_stored_validator_is_not_sent_when_it_cannot_be(internet: Internet, server: DocumentServer) -> None:
    server.serve("/openapi.json", b"{}")
    assert internet.fetcher().fetch(URL, etag='"caf\xe9"', last_modified="\x00") is not None


def test_document_is_unpacked_when_the_server_packs_it(internet: Internet, server: DocumentServer) -> None:
    server.serve("/openapi.json", gzip.compress(b"{}"), Content_Encoding="gzip", Content_Type="text/html")
    fetched = internet.fetcher().fetch(URL)
    assert fetched is not None
    assert fetched.content == b"{}"


@pytest.mark.parametrize("status", [201, 204, 206, 400, 401, 403, 404, 410, 429, 500, 503])
def test_status_is_told_when_there_is_no_document(internet: Internet, server: DocumentServer, status: int) -> None:
    server.serve("/openapi.json", b"" if status == 204 else b"secret", status=status)
    with pytest.raises(SourceFailed, match=f"{HOST} answered {status}") as failed:
        internet.fetcher().fetch(URL)
    assert "secret" not in failed.value.message


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_followed_when_it_leads_to_a_public_address(
    internet: Internet, server: DocumentServer, status: int
) -> None:
    server.serve("/openapi.json", status=status, Location="../v2/openapi.json?x=1#part", Set_Cookie="a=b")
    server.publish("/v2/openapi.json?x=1", b"{}", etag='"2"')
    fetched = internet.fetcher().fetch(URL, etag='"1"')
    assert fetched is not None
    assert fetched.etag == '"2"'
    assert [path for path, _ in server.requests] == ["/openapi.json", "/v2/openapi.json?x=1"]
    assert all("cookie" not in headers for _, headers in server.requests)
    assert internet.looked_up == [HOST, HOST]


@pytest.mark.parametrize(
    "location",
    [
        f"http://{HOST}/",
        "https://127.0.0.1/",
        "https://2130706433/",
        "//169.254.169.254/latest/meta-data/",
        "https://[::ffff:10.0.0.1]/",
        f"https://{HOST}:8443/",
        f"https://user@{HOST}/",
        "file:///etc/passwd",
        "https://localhost/",
        "https://inner.example.com/",
    ],
)
@pytest.mark.parametrize("loopback", [False, True])
def test_redirect_is_refused_when_its_target_would_be(
    internet: Internet, server: DocumentServer, location: str, loopback: bool
) -> None:
    internet.names["inner.example.com"] = [["10.0.0.1"]]
    server.serve("/openapi.json", status=302, Location=location)
    with pytest.raises(SourceRefused):
        internet.fetcher(fetch_loopback=loopback).fetch(URL)
    assert internet.dialled == [(ADDRESS, 443)]


@pytest.mark.parametrize("location", ["", "https://example.com:port/"])
def test_redirect_is_an_error_of_the_server_when_it_leads_nowhere(
    internet: Internet, server: DocumentServer, location: str
) -> None:
    server.serve("/openapi.json", status=302, Location=location)
    with pytest.raises(SourceFailed):
        internet.fetcher().fetch(URL)


def test_redirects_end_when_they_go_in_circles(internet: Internet, server: DocumentServer) -> None:
    server.serve("/openapi.json", status=302, Location="/openapi.json")
    with pytest.raises(SourceFailed, match="5 times"):
        internet.fetcher().fetch(URL)
    assert len(server.requests) == 6


def test_document_is_refused_at_once_when_it_is_announced_or_turns_out_too_large(
    internet: Internet, server: DocumentServer
) -> None:
    server.serve("/openapi.json", bytes(LIMIT_BYTES + 1))
    server.answer("/endless", _endless)
    for path in ("openapi.json", "endless"):
        with pytest.raises(TooLarge):
            internet.fetcher().fetch(f"https://{HOST}/{path}")


@pytest.mark.parametrize("path", ["headers", "body", "silence"])
def test_time_is_up_when_a_server_trickles_or_says_nothing(
    internet: Internet, server: DocumentServer, path: str
) -> None:
    server.answer("/headers", lambda exchange: _trickle(server, exchange, b"HTTP/1.1 200 OK\r\nX: "))
    server.answer("/body", lambda exchange: _trickle(server, exchange, b"HTTP/1.1 200 OK\r\n\r\n"))
    server.answer("/silence", lambda exchange: _be_silent(server))
    with pytest.raises(SourceTimeout, match=r"0\.3 s"):
        internet.fetcher(fetch_seconds=0.3).fetch(f"https://{HOST}/{path}")


def test_time_is_up_when_a_server_never_ends_its_handshake(internet: Internet) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        internet = Internet(silent.getsockname()[1])
        with pytest.raises(SourceTimeout):
            internet.fetcher(fetch_seconds=0.3).fetch(URL)


@pytest.mark.parametrize(
    "sent", [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", b"", b"HTTP/1.1 200 OK\r\n"]
)
def test_answer_is_an_error_of_the_server_when_it_is_cut_off_or_no_http(sent: bytes) -> None:
    with _blurting(sent) as port:
        internet = Internet(port)
        internet.is_seeming = False
        with pytest.raises(SourceFailed):
            internet.fetcher(fetch_loopback=True).fetch(f"http://127.0.0.1:{port}/")


def test_certificate_is_required_when_the_name_is_another(server: DocumentServer) -> None:
    server.serve("/", b"{}")
    internet = Internet(server.port)
    internet.names["other.example.com"] = [[ADDRESS]]
    with pytest.raises(SourceUnreachable, match="certificate"):
        internet.fetcher().fetch("https://other.example.com/")
    assert server.requests == []


def test_certificate_is_required_when_nobody_known_signed_it(
    internet: Internet, server: DocumentServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(SourceUnreachable, match="certificate"):
        internet.fetcher().fetch(URL)
    assert server.requests == []


def test_proxies_of_the_environment_are_not_asked(
    internet: Internet, server: DocumentServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    server.serve("/openapi.json", b"{}")
    assert internet.fetcher().fetch(URL)


def _endless(exchange: Exchange) -> None:
    exchange.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        exchange.wfile.write(bytes(10_000))


def _trickle(server: DocumentServer, exchange: Exchange, first: bytes) -> None:
    exchange.wfile.write(first)
    while not server.ending.wait(0.02):
        exchange.wfile.write(b"x")


def _be_silent(server: DocumentServer) -> None:
    server.ending.wait(20)


@contextmanager
def _blurting(sent: bytes) -> Iterator[int]:
    """Listen for one connection, read what comes, send this, and hang up; yields the port."""

    def serve(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(10_000)
            connection.sendall(sent)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        yield listening.getsockname()[1]
        thread.join()
