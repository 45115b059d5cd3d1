"""Which URLs a document may be fetched from, as far as their text tells; what a name leads to is checked later."""

import ipaddress
import re
from typing import Final

import httpx

from opdex.errors import SourceRefused
from opdex.fetching.addresses import Address, is_loopback, is_public

MAX_CHARACTERS: Final = 2000

_LABEL: Final = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
_NAME: Final = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})+")
# 127.1, 2130706433, 0x7f.1, 0177.0.0.1: a resolver takes each for an address.
_NUMBER: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
_LOCAL_NAME: Final = "localhost"


def read_source_url(text: str, *, loopback: bool = False) -> httpx.URL:
    """Return the URL in its one spelling, without a fragment. Raises SourceRefused, which says what is wrong with it.

    With ``loopback`` it may lead to this machine itself, by http too and to any port.
    """
    if len(text) > MAX_CHARACTERS:
        raise _refused(f"The URL is longer than {MAX_CHARACTERS} characters.")
    if not text.isprintable() or " " in text or "\\" in text:
        raise _refused("The URL has spaces, backslashes or characters that cannot be seen; percent-encode them.")
    try:
        url = httpx.URL(text).copy_with(fragment=None)
    except (httpx.InvalidURL, ValueError):
        raise _refused("This cannot be read as a URL; send one like https://example.com/openapi.json.") from None
    host = url.raw_host.decode("ascii")
    if "@" in re.split("[/?#]", text.partition("://")[2])[0]:
        raise _refused("The URL has a user name or password, which would be shown to everybody who can read the spec.")
    if loopback and leads_to_this_machine(host):
        if url.scheme not in ("http", "https") or (url.port is not None and not 0 < url.port < 2**16):
            raise _refused("Only http and https URLs are fetched, from ports up to 65535.")
        return url
    if url.scheme != "https":
        raise _refused("Only https URLs are fetched.")
    if url.port is not None:
        raise _refused("Only port 443 is fetched from.")
    _check_host(host)
    return url


def read_address(host: str) -> Address | None:
    """Return the address that a host of a URL is, None where it is a name."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return address


def leads_to_this_machine(host: str) -> bool:
    """Tell whether a host is written as this machine's own; a name that only resolves to it is not."""
    address = read_address(host)
    return host == _LOCAL_NAME if address is None else is_loopback(address)


def _check_host(host: str) -> None:
    address = read_address(host)
    if address is not None and not is_public(address):
        raise _refused(f"{host} is no address of the public internet.")
    if address is None and (_NUMBER.fullmatch(host) or not _NAME.fullmatch(host)):
        raise _refused("The URL's host must be a full name such as api.example.com, or an address in its usual form.")


def _refused(message: str) -> SourceRefused:
    return SourceRefused(message, field="source_url")
