"""What is told of locked releases that are known to be vulnerable, and that nobody could be asked."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from checks import audit
from checks.errors import NOT_DONE
from checks.table import PROJECT


class _Osv(ThreadingHTTPServer):
    """Answers as OSV does: each of these packages has a vulnerability in all releases before 99."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.vulnerable = {"pycrypto"}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        package = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["package"]
        assert isinstance(self.server, _Osv)
        known = [_vulnerability(package)] if package["name"] in self.server.vulnerable else []
        body = json.dumps({"vulns": known}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def _vulnerability(package: dict[str, str]) -> dict[str, object]:
    moment = "2020-01-01T00:00:00Z"
    ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99"}]}]
    affected = [{"package": package, "ranges": ranges}]
    return {"id": "TEST-1", "summary": "", "details": "", "modified": moment, "published": moment, "affected": affected}


@pytest.fixture
def osv(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Osv]:
    with _Osv() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("OSV_URL", f"http://127.0.0.1:{server.server_port}/v1/query")
        monkeypatch.setattr(audit, "_CANARY_SECONDS", 60)  # a machine that is busy is no service that is away
        monkeypatch.setattr(audit, "locked", lambda _: iter(["httpx==0.28.1\nidna==3.10", "httpx==0.28.1"]))
        yield server
        server.shutdown()
        thread.join()


def test_nothing_is_told_when_the_service_knows_nothing_of_what_is_locked(
    osv: _Osv, capsys: pytest.CaptureFixture[str]
) -> None:
    audit.main()
    assert osv.vulnerable == {"pycrypto"}
    assert capsys.readouterr().out == ""


def test_audit_fails_and_names_each_once_when_a_locked_release_is_vulnerable(osv: _Osv) -> None:
    osv.vulnerable.add("httpx")
    with pytest.raises(SystemExit) as ended:
        audit.main()
    assert ended.value.code == "httpx 0.28.1: TEST-1, mended in 99"


def test_audit_is_not_done_when_the_service_does_not_know_what_all_know(
    osv: _Osv, capsys: pytest.CaptureFixture[str]
) -> None:
    osv.vulnerable.clear()
    with pytest.raises(SystemExit) as ended:
        audit.main()
    assert ended.value.code == NOT_DONE
    assert capsys.readouterr().out.startswith("NOT AUDITED: ")


def test_audit_is_not_done_when_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        port = server.server_port
    monkeypatch.setenv("OSV_URL", f"http://127.0.0.1:{port}/")
    with pytest.raises(SystemExit) as ended:
        audit.main()
    assert ended.value.code == NOT_DONE


def test_every_group_is_asked_about_when_requirements_are_read() -> None:
    everything, *others = audit.locked(PROJECT)
    names = [{line.partition("==")[0] for line in text.splitlines()} for text in (everything, *others)]
    assert {"psycopg", "pytest", "onnxruntime", "pyjwt", "ministack"} <= names[0]
    assert {"checkov", "cocoindex", "localstack-core"} <= set().union(*names[1:])
