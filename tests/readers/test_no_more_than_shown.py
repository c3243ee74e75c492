"""What pasted outputs do not show is not concluded from them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.readers.test_evidence import judged
from troubleshoot.knowledge.catalogue import catalogue
from troubleshoot.readers import read
from troubleshoot.readers.model import Reading, Routes, Sockets
from troubleshoot.report import Report, from_json, to_json
from troubleshoot.run.engine import replay

NETSTAT = """
Active Connections

  Proto  Local Address          Foreign Address        State           PID
  TCP    {}:5432         0.0.0.0:0              LISTENING       4321
"""
SS = """State  Recv-Q Send-Q Local Address:Port Peer Address:Port Process
LISTEN 0      128    0.0.0.0:5432       0.0.0.0:*    users:(("postgres",pid=7,fd=3))
"""


def windows(typed: str, text: str) -> str:
    return f"C:\\Users\\kim>{typed}\n{text}"


def linux(typed: str, text: str, host: str = "client") -> str:
    return f"kim@{host}:~$ {typed}\n{text}\n"


def readings(text: str) -> tuple[Reading, ...]:
    return read(text, catalogue())


def seen(text: str, kind: type[Any]) -> list[Any]:
    return [one for reading in readings(text) for one in reading.seen if isinstance(one, kind)]


def result(report: Report, probe: str) -> dict[str, Any] | None:
    found = [record["result"] for record in report.probes if record["probe"] == probe and record["result"]]
    assert len(found) < 2
    return msgspec.to_builtins(found[0]) if found else None


@pytest.mark.parametrize(
    ("typed", "text"),
    [("netstat -an", NETSTAT.format("0.0.0.0")), ("netstat -ano", NETSTAT.format("0.0.0.0")), ("ss -tanp", SS)],
)
def test_what_others_saw_is_never_certain(typed: str, text: str) -> None:
    whole = windows(typed, text) if typed.startswith("netstat") else linux(typed, text)
    report = judged("10013", ":5432", whole)
    assert (report.verdict.cause, report.verdict.confidence) == ("port-in-use", "likely")
    assert {one.confidence for one in report.verdict.alternatives} <= {"likely", "possible"}
    again = replay(from_json(to_json(report).encode()), "en")
    assert again.verdict == report.verdict


@pytest.mark.parametrize(
    ("held", "asked", "cause"),
    [
        ("192.0.2.10", "127.0.0.1:5432", None),
        ("127.0.0.1", "127.0.0.1:5432", "port-in-use"),
        ("0.0.0.0", "127.0.0.1:5432", "port-in-use"),
        ("127.0.0.1", ":5432", "port-in-use"),
        ("[::1]", "127.0.0.1:5432", None),
        ("[::]", "127.0.0.1:5432", None),  # Windows keeps IPv6 sockets from IPv4 unless it is told otherwise
    ],
)
def test_a_listener_holds_the_port_on_its_own_address(held: str, asked: str, cause: str | None) -> None:
    assert judged("10048", asked, windows("netstat -ano", NETSTAT.format(held))).verdict.cause == cause


@pytest.mark.parametrize(("local", "cause"), [("*", "port-in-use"), ("[::]", None)])
def test_an_ipv6_listener_holds_ipv4_where_it_takes_that_too(local: str, cause: str | None) -> None:
    text = SS.replace("0.0.0.0:5432 ", f"{local}:5432 ")
    assert judged("10048", "127.0.0.1:5432", linux("ss -tanp", text)).verdict.cause == cause


def test_whose_an_address_is_takes_a_list_of_addresses_to_tell() -> None:
    ping = "PING 192.0.2.9 (192.0.2.9) 56(84) bytes of data.\n--- 192.0.2.9 ping statistics ---\n"
    link = "2: eth0: <BROADCAST,UP,LOWER_UP> mtu 1500 qdisc\n    link/ether 00:00:5e:00:53:01 brd ff:ff:ff:ff:ff:ff\n"
    inet = "    inet 192.0.2.10/24 brd 192.0.2.255 scope global eth0\n"
    assert result(judged("10049", "192.0.2.9:80", linux("ping -c1 192.0.2.9", ping)), "address") is None
    assert result(judged("10049", "192.0.2.9:80", linux("ip -s link", link)), "address") is None
    assert result(judged("10049", "192.0.2.9:80", linux("ip addr show eth0", link + inet)), "address") is None
    told = result(judged("10049", "192.0.2.9:80", linux("ip addr", link + inet)), "address")
    assert told is not None
    assert told["local"] is False
    elsewhere = result(judged("10061", "192.0.2.9:80", linux("ping -c1 192.0.2.9", ping)), "address")
    assert elsewhere is not None  # what kind it is needs no list
    loopback = result(judged("10049", "127.0.0.1:80", linux("ping -c1 192.0.2.9", ping)), "address")
    assert loopback is not None
    assert loopback["local"] is True


def test_a_command_that_failed_shows_no_empty_table() -> None:
    assert judged("10051", "198.51.100.7:80", linux("ip route", "")).verdict.cause == "no-default-route"
    failed = linux("ip route", "bash: ip: command not found")
    assert judged("10051", "198.51.100.7:80", failed).verdict.cause is None
    assert seen(failed, Routes) == []


ROUTES = """===========================================================================
Interface List
  6...00 00 5e 00 53 01 ......Example Ethernet
===========================================================================

IPv4 Route Table
===========================================================================
Active Routes:
Network Destination        Netmask          Gateway       Interface  Metric
         10.0.0.0        255.0.0.0         On-link        192.0.2.10    281
"""


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        (windows("route print 10.*", ROUTES), False),
        (ROUTES, False),  # a table of Windows without the loopback network was filtered
        (windows("route print", ROUTES), True),
        (windows("route print -4", ROUTES), True),
        (windows("route print", ROUTES + "The requested operation requires elevation.\n"), False),
    ],
)
def test_a_filtered_table_of_routes_is_not_the_whole(text: str, whole: bool) -> None:
    (table,) = seen(text, Routes)
    assert table.whole is whole


ESTABLISHED = """
Active Connections

  Proto  Local Address          Foreign Address        State
  TCP    192.0.2.10:50123       198.51.100.7:443       ESTABLISHED
"""
ESTAB = """State Recv-Q Send-Q Local Address:Port Peer Address:Port
ESTAB 0      0      192.0.2.10:50123   198.51.100.7:443
"""


@pytest.mark.parametrize(
    ("text", "tells"),
    [
        (windows("netstat", ESTABLISHED), False),
        (windows("netstat -n", ESTABLISHED), False),
        (ESTABLISHED, False),
        (windows("netstat -an", ESTABLISHED), True),
        (windows("netstat /a /n", ESTABLISHED), True),
        (windows("netstat -an", ESTABLISHED + "Access is denied.\n"), False),
        (linux("ss -tan", ESTAB), True),
        (linux("ss -tan -4", ESTAB), False),
        (linux("ss -tan6", ESTAB), False),
        (linux("ss -tan --ipv4", ESTAB), False),
        (linux("ss --all --tcp --numeric", ESTAB), True),
        (linux("ss -tan state established", ESTAB), False),
        (linux("ss -tn", ESTAB), False),
    ],
)
def test_nothing_listens_where_listeners_would_be_shown(text: str, tells: bool) -> None:
    (table,) = seen(text, Sockets)
    assert (table.whole and table.listening) is tells
    told = result(judged("10048", "127.0.0.1:50124", text), "sockets")
    assert (told is not None) is tells


def test_a_table_of_tcp_tells_nothing_of_udp() -> None:
    tables = {typed: seen(linux(typed, ESTAB), Sockets)[0] for typed in ("ss -tan", "ss -uan", "ss -tuan", "ss -an")}
    assert [table.transports for table in tables.values()] == [("tcp",), ("udp",), ("tcp", "udp"), ("tcp", "udp")]
    udp = "udp://127.0.0.1:5353"
    assert result(judged("10048", udp, linux("ss -tan", ESTAB)), "sockets") is None
    assert result(judged("10048", udp, linux("ss -uan", ESTAB)), "sockets") is not None


MACOS = "Active Internet connections (including servers)\ntcp{} 0 0 *.5432 *.* LISTEN\n"


@pytest.mark.parametrize(("kind", "cause"), [("4", "port-in-use"), ("46", "port-in-use"), ("6", None)])
def test_macos_says_whether_an_ipv6_listener_takes_ipv4(kind: str, cause: str | None) -> None:
    text = f"kim@mac ~ % netstat -an -p tcp\n{MACOS.format(kind)}"
    assert judged("10048", "127.0.0.1:5432", text).verdict.cause == cause


NETSTAT_LINUX = "Active Internet connections (servers and established)\ntcp 0 0 0.0.0.0:22 0.0.0.0:* LISTEN\n"


@pytest.mark.parametrize(
    ("typed", "whole", "transports"),
    [
        ("netstat -an", True, ("tcp", "udp")),
        ("netstat --all --numeric", True, ("tcp", "udp")),
        ("netstat -an --inet", False, None),
        ("netstat -tan4", False, ("tcp",)),
    ],
)
def test_what_netstat_was_asked_for(typed: str, whole: bool, transports: tuple[str, ...] | None) -> None:
    (table,) = seen(linux(typed, NETSTAT_LINUX), Sockets)
    assert table.whole is whole
    assert transports is None or table.transports == transports
