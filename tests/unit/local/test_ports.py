"""Ports that are free, and stay so until they are listened on."""

import socket

import pytest

from local import ports
from local.ports import free_port


def test_port_is_below_those_of_outgoing_connections_when_it_is_given() -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)), socket.create_connection(("127.0.0.1", port)) as outgoing:
        assert port < outgoing.getsockname()[1]


def test_error_says_so_when_none_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(ports, "_PORTS", range(port, port + 1))
        monkeypatch.setattr(ports, "_ATTEMPTS", 1)
        with pytest.raises(OSError, match="is free"):
            free_port()
