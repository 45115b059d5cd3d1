"""From a host's name to its addresses, in a time of our own: the system's resolver knows none."""

import ipaddress
import socket
import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError

from opdex.fetching.addresses import Address

_NO_SUCH_NAME = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))


class NameUnknown(Exception):
    """There is no such name, or it has no address."""


class LookUpFailed(Exception):
    """No name server answered."""


def look_up(name: str, seconds: float) -> list[Address]:
    """Return the addresses of a name, best first. Raises NameUnknown, and LookUpFailed where none came in time."""
    found: Future[list[Address]] = Future()

    def ask() -> None:
        try:
            entries = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
            found.set_result(list(dict.fromkeys(ipaddress.ip_address(entry[4][0]) for entry in entries)))
        except Exception as error:  # noqa: BLE001 - raised where the result is asked for
            found.set_exception(error)

    # getaddrinfo cannot be interrupted: a thread that still waits is left behind, and ends by itself.
    threading.Thread(target=ask, name="look-up", daemon=True).start()
    try:
        return found.result(seconds)
    except FutureTimeoutError:
        raise LookUpFailed from None
    except (OSError, UnicodeError) as error:
        if isinstance(error, socket.gaierror) and error.errno not in _NO_SUCH_NAME:
            raise LookUpFailed from error
        raise NameUnknown from error
