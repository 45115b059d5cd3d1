"""Where connections go: to the very address that was checked, and nowhere else."""

from types import SimpleNamespace

import httpcore
import pytest

from opdex.errors import OutboundUnavailable, SourceRefused, SourceTimeout, SourceUnreachable
from opdex.fetching.name_lookup import LookUpFailed
from tests.document_server import DocumentServer
from tests.unit.fetching.internet import ADDRESS, HOST, Internet

URL = f"https://{HOST}/openapi.json"
CONTROL = "checkip.amazonaws.com"


def test_connection_goes_to_the_checked_address_when_the_name_is_looked_up_once(
    internet: Internet, server: DocumentServer
) -> None:
    server.serve("/openapi.json", b"{}")
    internet.names[HOST] = [[ADDRESS], ["127.0.0.1"]]  # a second look-up would lead inside
    assert internet.fetcher().fetch(URL)
    assert internet.looked_up == [HOST]
    assert internet.dialled == [(ADDRESS, 443)]


def test_connection_is_refused_before_a_byte_is_sent_when_it_ended_at_another_address(
    internet: Internet, server: DocumentServer
) -> None:
    server.serve("/openapi.json", b"{}")
    internet.is_seeming = False  # the check of the name was passed, and yet it is this machine that answers
    with pytest.raises(SourceRefused):
        internet.fetcher().fetch(URL)
    assert internet.dialled == [(ADDRESS, 443)]
    assert server.requests == []


def test_redirect_is_refused_when_the_name_leads_inside_by_then(internet: Internet, server: DocumentServer) -> None:
    server.serve("/openapi.json", status=302, Location="/again")
    internet.names[HOST] = [[ADDRESS], ["169.254.169.254"]]
    with pytest.raises(SourceRefused):
        internet.fetcher().fetch(URL)
    assert internet.looked_up == [HOST, HOST]
    assert internet.dialled == [(ADDRESS, 443)]
    assert [path for path, _ in server.requests] == ["/openapi.json"]


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["10.0.0.1"],
        ["169.254.169.254"],
        ["100.64.1.1"],
        ["::1"],
        ["::ffff:10.0.0.1"],
        ["fd00:ec2::254"],
        ["64:ff9b::a00:1"],
        [ADDRESS, "10.0.0.1"],
        ["10.0.0.1", ADDRESS],
        [],
    ],
)
@pytest.mark.parametrize("loopback", [False, True])
def test_name_is_refused_when_one_of_its_addresses_lies_inside(
    internet: Internet, addresses: list[str], loopback: bool
) -> None:
    internet.names[HOST] = [addresses]
    with pytest.raises(SourceRefused):
        internet.fetcher(fetch_loopback=loopback).fetch(URL)
    assert internet.dialled == []


def test_next_address_is_tried_when_one_is_not_reached(internet: Internet, server: DocumentServer) -> None:
    server.serve("/openapi.json", b"{}")
    internet.names[HOST] = [["2606:4700::1", ADDRESS]]
    internet.problems["2606:4700::1"] = httpcore.ConnectError("Network is unreachable")
    assert internet.fetcher().fetch(URL)
    assert [host for host, _ in internet.dialled] == ["2606:4700::1", ADDRESS]


@pytest.mark.parametrize(
    ("problem", "error"),
    [(httpcore.ConnectTimeout(), SourceTimeout), (httpcore.ConnectError("Connection refused"), SourceUnreachable)],
)
def test_server_is_to_blame_when_another_is_reached(
    internet: Internet, problem: Exception, error: type[Exception]
) -> None:
    internet.names[CONTROL] = [["52.1.1.1"]]
    internet.problems[ADDRESS] = problem
    with pytest.raises(error, match=HOST):
        internet.fetcher().fetch(URL)
    assert internet.dialled[-1] == ("52.1.1.1", 443)


@pytest.mark.parametrize("problem", [httpcore.ConnectTimeout(), httpcore.ConnectError("Network is unreachable")])
def test_there_is_no_way_out_when_nothing_is_reached(internet: Internet, problem: Exception) -> None:
    internet.names[CONTROL] = [["52.1.1.1"]]
    internet.problems = {ADDRESS: problem, "52.1.1.1": problem}
    with pytest.raises(OutboundUnavailable, match="NAT gateway"):
        internet.fetcher().fetch(URL)


def test_there_is_no_way_out_when_the_server_has_many_addresses_and_all_the_time_went_into_them(
    internet: Internet, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = [f"93.184.216.{number}" for number in range(1, 7)]
    internet.names |= {HOST: [addresses], CONTROL: [["52.1.1.1"]]}
    internet.problems = dict.fromkeys([*addresses, "52.1.1.1"], httpcore.ConnectTimeout())
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("opdex.fetching.deadline.time", SimpleNamespace(monotonic=lambda: clock.now))
    dial = internet.dial

    def patient(host: str, port: int, timeout: float | None = None) -> object:
        clock.now += timeout or 0
        return dial(host, port, timeout)

    monkeypatch.setattr(internet, "dial", patient)
    with pytest.raises(OutboundUnavailable):
        internet.fetcher().fetch(URL)
    assert clock.now <= 10 + 2


def test_there_is_no_way_out_when_no_name_is_known(internet: Internet) -> None:
    internet.names.clear()
    with pytest.raises(OutboundUnavailable):
        internet.fetcher().fetch(URL)


def test_name_servers_are_to_blame_when_they_are_silent_about_one_name(
    internet: Internet, monkeypatch: pytest.MonkeyPatch
) -> None:
    internet.names[CONTROL] = [["52.1.1.1"]]
    look_up = internet.look_up

    def silent_about_one(name: str, seconds: float) -> object:
        if name == HOST:
            raise LookUpFailed
        return look_up(name, seconds)

    monkeypatch.setattr(internet, "look_up", silent_about_one)
    with pytest.raises(SourceUnreachable, match=HOST):
        internet.fetcher().fetch(URL)


def test_an_inner_name_and_an_unknown_one_are_told_in_the_same_words(internet: Internet) -> None:
    internet.names = {CONTROL: [["52.1.1.1"]], "inner.example.com": [["10.0.0.1"]]}
    told = []
    for name in ("inner.example.com", "nobody.example.com"):
        with pytest.raises(SourceRefused) as refused:
            internet.fetcher().fetch(f"https://{name}/")
        assert "10." not in refused.value.message
        told.append((refused.value.message.replace(name, "…"), refused.value.details))
    assert told[0] == told[1]


@pytest.mark.parametrize("names", [[["10.0.0.1"]], None])
def test_own_machine_is_not_reached_when_its_name_leads_elsewhere_or_nowhere(
    internet: Internet, names: list[list[str]] | None
) -> None:
    internet.names = {"localhost": names} if names else {}
    with pytest.raises(SourceRefused):
        internet.fetcher(fetch_loopback=True).fetch("http://localhost/")
    assert internet.dialled == []
    assert internet.looked_up == ["localhost"]


def test_own_machine_refuses_when_nothing_listens(internet: Internet) -> None:
    internet.problems["127.0.0.1"] = httpcore.ConnectError("Connection refused")
    with pytest.raises(SourceUnreachable):
        internet.fetcher(fetch_loopback=True).fetch("http://127.0.0.1:1/")
    assert internet.looked_up == []


def test_own_machine_is_reached_when_that_is_allowed() -> None:
    with DocumentServer() as server:
        internet = Internet(server.port)
        internet.is_seeming = False
        fetched = internet.fetcher(fetch_loopback=True).fetch(server.serve("/openapi.json", b"{}"))
    assert fetched is not None
    assert fetched.content == b"{}"
