"""Ports of this machine."""

import random
import socket
from typing import Final

# Below those that outgoing connections are given, which may take one before it is listened on.
_PORTS: Final = range(20_000, 32_768)
_ATTEMPTS: Final = 200


def free_port() -> int:
    """Return a loopback port that nobody listens on now. Raises OSError where none of many is free."""
    for port in random.SystemRandom().sample(_PORTS, _ATTEMPTS):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"None of {_ATTEMPTS} ports from {_PORTS.start} to {_PORTS.stop - 1} is free.")
