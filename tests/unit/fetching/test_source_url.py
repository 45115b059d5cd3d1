import contextlib

import httpx
import pytest
from hypothesis import example, given
from hypothesis.strategies import characters, sampled_from, text, tuples

from opdex.errors import SourceRefused
from opdex.fetching.source_url import MAX_CHARACTERS, read_source_url

_REFUSED = (
    # other schemes
    "http://example.com/", "ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "data:,x",
    "//example.com/", "example.com/openapi.json", "javascript:alert(1)", "unix:///run/x.sock", "https:example.com",
    "https:///openapi.json", "",
    # this machine and its neighbours
    "https://localhost/", "https://LOCALHOST/", "https://127.0.0.1/", "https://127.0.0.1:443/", "https://[::1]/",
    "https://10.1.2.3/", "https://192.168.0.1/", "https://172.16.0.9/", "https://169.254.169.254/latest/meta-data/",
    "https://[fd00:ec2::254]/latest/", "https://100.64.0.1/", "https://0.0.0.0/", "https://[::]/", "https://224.0.0.1/",
    "https://[fe80::1]/", "https://[fe80::1%25eth0]/", "https://[fec0::1]/", "https://198.18.0.1/", "https://240.0.0.1/",
    "https://intranet/", "https://metadata/",
    # IPv4 within IPv6
    "https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/", "https://[::127.0.0.1]/", "https://[2002:7f00:1::]/",
    "https://[64:ff9b::7f00:1]/", "https://[2001:0:7f00:1::]/", "https://[0:0:0:0:0:ffff:a9fe:a9fe]/",
    # addresses as resolvers take them: decimal, octal, hexadecimal, short, mixed
    "https://2130706433/", "https://017700000001/", "https://0x7f000001/", "https://0x7F.1/", "https://127.1/",
    "https://127.0.1/", "https://0177.0.0.1/", "https://0177.0x0.0.1/", "https://0x7f.0x0.0x0.0x1/", "https://1/",
    "https://127.0.0.0x1/", "https://3232235521/", "https://134744072/", "https://8.8.8/", "https://0x08080808/",
    "https://00000000000000000000000000000000177.1/", "https://256.1.1.1/", "https://1.2.3.4.5/", "https://example.0x1/",
    # trailing dots
    "https://127.0.0.1./", "https://localhost./", "https://example.com./", "https://example.com../", "https://.example.com/",
    # user names, and what only looks like a host
    "https://example.com@127.0.0.1/", "https://user:password@example.com/", "https://@example.com/", "https://:@example.com/",
    "https://example.com\\@127.0.0.1/", "https://127.0.0.1\\@example.com/", "https://example.com#@127.0.0.1:1/@\\",
    # other writing systems, and what cannot be seen
    "https://127。0。0。1/", "https://\uff11\uff12\uff17.0.0.1/", "https://①②⑦.⓪.⓪.①/", "https://ⓔxample.com/",
    "https://loca\u00adlhost/",
    "https://exa\u200bmple.com/", "https://example.com\t/", "https://example.com/\n", "https://exam ple.com/",
    "https://%31%32%37.0.0.1/", "https://example.com%2f@127.0.0.1/", "https://127.0.0.1%00.example.com/",
    "https://exam\0ple.com/",
    # ports
    "https://example.com:80/", "https://example.com:8443/", "https://example.com:22/", "https://example.com:99999/",
    "https://example.com:0/", "https://example.com:x/",
    # hosts that are none
    "https://exa_mple!.com/", "https://-example.com/", "https://example-.com/", "https://[example.com]/", "https://[/",
    f"https://{'a' * 64}.com/", f"https://{'a.' * 127}com/", f"https://example.com/{'a' * MAX_CHARACTERS}",
)  # fmt: skip


@pytest.mark.parametrize("url", _REFUSED)
def test_url_is_refused_when_it_leads_elsewhere_or_means_something_else(url: str) -> None:
    with pytest.raises(SourceRefused) as refused:
        read_source_url(url)
    assert refused.value.details["field"] == "source_url"


@pytest.mark.parametrize(
    ("url", "spelled"),
    [
        ("https://example.com/openapi.json", "https://example.com/openapi.json"),
        ("HTTPS://Example.COM:443/a b".replace(" ", "%20"), "https://example.com/a%20b"),
        ("https://example.com", "https://example.com"),
        ("https://api.example.com/v1?format=yaml#/paths", "https://api.example.com/v1?format=yaml"),
        ("https://münchen.example/ü", "https://xn--mnchen-3ya.example/%C3%BC"),
        ("https://raw_files.example.com/x", "https://raw_files.example.com/x"),
        ("https://8.8.8.8/x", "https://8.8.8.8/x"),
        ("https://[2606:4700:4700::1111]/x", "https://[2606:4700:4700::1111]/x"),
        ("https://1e100.net/x", "https://1e100.net/x"),
        ("https://example.com/@user/127.0.0.1", "https://example.com/@user/127.0.0.1"),
    ],
)
def test_url_is_spelled_in_one_way_when_it_may_be_fetched(url: str, spelled: str) -> None:
    assert str(read_source_url(url)) == spelled
    assert str(read_source_url(spelled)) == spelled


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080/x", "http://localhost/x", "https://[::1]:9/x", "https://127.0.0.2/x"]
)
def test_url_of_this_machine_is_taken_when_that_is_allowed_and_only_then(url: str) -> None:
    assert str(read_source_url(url, loopback=True)) == url
    with pytest.raises(SourceRefused):
        read_source_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "https://10.0.0.1/",
        "http://[::ffff:127.0.0.1]/",
        "ftp://127.0.0.1/",
        "http://127.1/",
        "http://a@127.0.0.1/",
        "http://localhost:99999/",
        "http://localhost:0/",
        "http://localhost.localdomain/",
    ],
)
def test_url_of_anything_else_is_refused_when_this_machine_is_allowed(url: str) -> None:
    with pytest.raises(SourceRefused):
        read_source_url(url, loopback=True)


_PIECES = sampled_from((
    "https://", "HTTPS:", "//", "/", "\\", "?", "#", "@", ":", "[", "]", "%", "%2e", "%00", ".", "..", "。",
    "xn--", "xn--a", "\u0661", "\u200d", "example", ".com", "127.0.0.1", "0x7f", "1", "::1", "localhost", "443",
    "\ud800",
))  # fmt: skip


@given(tuples(*[_PIECES | text(characters(), max_size=3)] * 8).map("".join))
@example("https://xn--a.com/")
@example("https://[::1")
def test_url_is_refused_or_one_that_is_read_in_the_same_way_again_whatever_it_is(url: str) -> None:
    with contextlib.suppress(SourceRefused):
        read = read_source_url("https://" + url)
        assert (read.scheme, read.port, read.userinfo, read.fragment) == ("https", None, b"", "")
        again = httpx.URL(str(read))
        assert (again.raw_host, again.raw_path) == (read.raw_host, read.raw_path)
        assert read_source_url(str(read)) == read
