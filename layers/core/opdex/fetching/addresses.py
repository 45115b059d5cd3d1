"""Which addresses lie in the public internet, and which in some network inside, this one's own among them."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

type Address = IPv4Address | IPv6Address

_NOT_PUBLIC: Final = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # unspecified, and this network
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # shared by a carrier's customers
            "127.0.0.0/8",  # loopback
            "168.63.129.16/32",  # a cloud's service to its own machines
            "169.254.0.0/16",  # link-local: credentials of the machine are served there
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # protocol assignments
            "192.0.2.0/24",  # documentation
            "192.88.99.0/24",  # 6to4 relays
            "192.168.0.0/16",  # private
            "198.18.0.0/15",  # benchmarking
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
        ),
    )
)
# All else of IPv6 is loopback, mapped or translated IPv4, unique local, link-local, site-local, multicast or reserved.
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
_NOT_PUBLIC_6: Final = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments, Teredo among them
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4, which leads to any IPv4 address
            "3fff::/20",  # documentation
        ),
    )
)


def is_public(address: Address) -> bool:
    """Tell whether an address lies in the public internet and leads nowhere else."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC)
    is_global = address.scope_id is None and address in _GLOBAL_UNICAST
    return is_global and not any(address in network for network in _NOT_PUBLIC_6)


def is_loopback(address: Address) -> bool:
    """Tell whether an address is this machine's own."""
    return address.is_loopback and getattr(address, "ipv4_mapped", None) is None
