import socket
import threading
from ipaddress import ip_address
from typing import Any, NoReturn

import pytest

from opdex.fetching.name_lookup import LookUpFailed, NameUnknown, look_up


def _raising(error: Exception) -> Any:
    def getaddrinfo(*_: Any, **__: Any) -> NoReturn:
        raise error

    return getaddrinfo


def test_addresses_are_returned_once_when_the_name_is_known() -> None:
    found = look_up("localhost", 5)
    assert ip_address("127.0.0.1") in found or ip_address("::1") in found
    assert len(found) == len(set(found))


@pytest.mark.parametrize("code", [socket.EAI_NONAME, -5])
def test_name_is_unknown_when_the_resolver_says_so(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", _raising(socket.gaierror(code, "no such name")))
    with pytest.raises(NameUnknown):
        look_up("nobody.example.com", 5)


def test_name_is_unknown_when_no_resolver_could_be_asked_for_it() -> None:
    with pytest.raises(NameUnknown):
        look_up("a" * 64 + ".com", 5)


def test_look_up_fails_when_no_name_server_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", _raising(socket.gaierror(socket.EAI_AGAIN, "try again")))
    with pytest.raises(LookUpFailed):
        look_up("docs.example.com", 5)


def test_look_up_fails_when_the_resolver_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    ending = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: ending.wait(20) and [])
    with pytest.raises(LookUpFailed):
        look_up("docs.example.com", 0.05)
    ending.set()
