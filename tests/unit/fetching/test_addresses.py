from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis.strategies import builds, integers, ip_addresses, sampled_from

from opdex.fetching.addresses import is_loopback, is_public

_INSIDE = (
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "100.127.255.255", "127.0.0.1", "127.255.0.1",
    "168.63.129.16", "169.254.0.1", "169.254.169.254", "169.254.170.2", "172.16.0.1", "172.31.255.255", "192.0.0.1",
    "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.7",
    "203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::7f00:1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1", "64:ff9b::8.8.8.8", "64:ff9b:1::10.0.0.1", "100::1", "2001::1", "2001:0:53aa:64c::1",
    "2001:10::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::1", "2002:808:808::1", "3fff::1", "5f00::1",
    "fc00::1", "fd00:ec2::254", "fd12:3456::1", "fe80::1", "fe80::1%1", "2606:4700::1%1", "fec0::1", "ff02::1",
    "ff0e::1",
)  # fmt: skip
_OUTSIDE = (
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.1", "100.63.255.255", "100.128.0.1", "126.255.255.255", "128.0.0.1",
    "172.15.255.255", "172.32.0.1", "192.0.1.1", "192.167.255.255", "198.17.255.255", "198.20.0.1", "223.255.255.255",
    "2001:200::1", "2001:4860:4860::8888", "2003::1", "2606:4700:4700::1111", "2a00:1450:4001::1", "3ffe::1",
)  # fmt: skip


@pytest.mark.parametrize("address", _INSIDE)
def test_address_is_not_public_when_it_lies_inside_or_nowhere(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", _OUTSIDE)
def test_address_is_public_when_it_lies_in_the_internet(address: str) -> None:
    assert is_public(ip_address(address))


@given(ip_addresses())
def test_address_is_not_public_when_the_standard_library_knows_it_for_something_else(
    address: IPv4Address | IPv6Address,
) -> None:
    if is_public(address):
        assert address.is_global
        assert not any((address.is_multicast, address.is_reserved, address.is_link_local, address.is_unspecified))


@given(
    builds(
        lambda network, host: IPv6Address(int(IPv6Address(network)) + host),
        sampled_from(["::", "::ffff:0:0", "::ffff:0:0:0", "64:ff9b::"]),
        integers(0, 2**32 - 1),
    )
)
def test_address_is_not_public_when_it_carries_one_of_ipv4(address: IPv6Address) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(("address", "expected"), [("127.0.0.1", True), ("::1", True), ("::ffff:127.0.0.1", False)])
def test_address_is_loopback_when_it_is_written_as_such(address: str, expected: bool) -> None:
    assert is_loopback(ip_address(address)) is expected
