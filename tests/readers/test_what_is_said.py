"""What single lines of the classic commands say: of names, of connections, and of whose machine they are."""

from __future__ import annotations

import pytest

from probes.failure import Failure
from probes.ping import PingResult
from probes.resolve import Answer
from probes.service import ServiceOutcome
from tests.readers.test_evidence import judged
from tests.readers.test_no_more_than_shown import linux, readings, result, seen, windows
from troubleshoot.readers.model import Connection, Interfaces, LookUp, Routes, Served, Sockets
from troubleshoot.run.pasted import of_one_machine
from troubleshoot.run.pasted.evidence import Evidence

WINDOWS_DNS = "Server:  UnKnown\nAddress:  192.0.2.53\n\n"
BIND_DNS = "Server:\t\t192.0.2.53\nAddress:\t192.0.2.53#53\n\n"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (
            windows("nslookup x.example", WINDOWS_DNS + "*** UnKnown can't find x.example: No response from server\n"),
            Answer.NO_ANSWER,
        ),
        (windows("nslookup x.example", WINDOWS_DNS + "*** UnKnown can't find x.example: Unspecified error\n"), None),
        (windows("nslookup x.example", WINDOWS_DNS + "*** UnKnown can't find x.example: Server failed\n"), "servfail"),
        (linux("nslookup x.example", BIND_DNS + "*** Can't find x.example: No answer\n"), Answer.NO_DATA),
        (
            linux(
                "nslookup x.example",
                ";; communications error to 192.0.2.53#53: connection refused\n;; no servers could be reached\n",
            ),
            Answer.PORT_CLOSED,
        ),
        (
            linux(
                "nslookup x.example",
                ";; communications error to 192.0.2.53#53: timed out\n;; no servers could be reached\n",
            ),
            Answer.NO_ANSWER,
        ),
        (linux("nslookup -type=mx x.example", BIND_DNS + "*** Can't find x.example: No answer\n"), None),
    ],
)
def test_what_a_name_server_answered(text: str, answer: Answer | None) -> None:
    found = seen(text, LookUp)
    assert [one.answer for one in found] == ([] if answer is None else [answer])


def dug(kind: str, *records: str, status: str = "NOERROR") -> str:
    lines = [
        f"; <<>> DiG 9.18.49 <<>> {kind} x.example",
        f";; ->>HEADER<<- opcode: QUERY, status: {status}, id: 1",
        f";x.example.\tIN\t{kind}",
        *(f"x.example.\t300\tIN\t{kind}\t{record}" for record in records),
        ";; SERVER: 192.0.2.53#53(192.0.2.53) (UDP)",
    ]
    return linux(f"dig {kind} x.example", "\n".join(lines))


def test_dig_for_mail_says_nothing_of_addresses() -> None:
    assert seen(dug("MX"), LookUp) == []
    timed_out = linux("dig @192.0.2.53 MX x.example", ";; communications error to 192.0.2.53#53: timed out\n")
    assert seen(timed_out, LookUp) == []
    assert [one.record_type for one in seen(dug("AAAA"), LookUp)] == ["AAAA"]


def test_that_one_family_has_no_address_says_nothing_of_the_other() -> None:
    assert result(judged("11001", "x.example", dug("AAAA")), "resolve") is None
    both = result(judged("11001", "x.example", dug("AAAA") + dug("A")), "resolve")
    assert both is not None
    assert [one["answer"] for one in both["answers"]] == ["no-data", "no-data"]


def test_the_newest_answer_counts() -> None:
    def getent(where: str) -> str:
        return linux("getent ahosts x.example", f"{where}   STREAM x.example\n")

    told = result(judged("11001", "x.example", getent("192.0.2.7") + getent("192.0.2.8")), "resolve")
    assert told is not None
    assert told["addresses"] == ("192.0.2.8",)
    told = result(judged("11001", "x.example", dug("A", status="NXDOMAIN") + dug("A", "192.0.2.9")), "resolve")
    assert told is not None
    assert [one["answer"] for one in told["answers"]] == ["addresses"]


@pytest.mark.parametrize(
    "text",
    [
        linux("traceroute x.example", "traceroute: x.example: Temporary failure in name resolution\n"),
        linux("traceroute x.example", 'x.example: Temporary failure in name resolution\nCannot handle "host"\n'),
        linux("getent ahosts x.example", "x.example: Temporary failure in name resolution\n"),
        linux("curl -v http://x.example/", "curl: (6) Could not resolve host: x.example (Temporary failure in name "
              "resolution)\n"),
        linux("ping x.example", "ping: x.example: Temporary failure in name resolution\n"),
    ],
)  # fmt: skip
def test_a_temporary_failure_is_no_missing_name(text: str) -> None:
    assert [(one.name, one.eai) for one in seen(text, LookUp)] == [("x.example", "EAI_AGAIN")]


PING = "PING {0} ({0}) 56(84) bytes of data.\n64 bytes from {0}: icmp_seq=1 ttl=64 time=0.5 ms\n"
SILENT = "PING {0} ({0}) 56(84) bytes of data.\n\n--- {0} ping statistics ---\n"
SILENT += "1 packets transmitted, 0 received, 100% packet loss, time 0ms\n"


def test_a_second_heading_begins_another_ping() -> None:
    text = linux("./pings.sh; ping -c1 x", "") + linux(
        "ping -c1 198.51.100.7; ping -c1 192.0.2.1", SILENT.format("198.51.100.7") + PING.format("192.0.2.1")
    )
    assert {(one.address, one.received) for one in seen(text, PingResult)} == {("198.51.100.7", 0), ("192.0.2.1", 1)}
    heading = "\nPinging {} with 32 bytes of data:\n"
    both = heading.format("198.51.100.7") + "Request timed out.\n" + heading.format("192.0.2.1")
    both += "Reply from 192.0.2.1: bytes=32 time=1ms TTL=64\n"
    found = seen(windows("ping 198.51.100.7 & ping 192.0.2.1", both), PingResult)
    assert {(one.address, one.received) for one in found} == {("198.51.100.7", 0), ("192.0.2.1", 1)}


@pytest.mark.parametrize(
    ("typed", "plain"),
    [
        ("ping -c1 {}", True),
        ("ping -i 0.2 -c1 {}", True),
        ("ping -c1 -t 3 {}", False),
        ("ping -c1 -t3 {}", False),
        ("ping -c1 -M do -s 1472 {}", False),
    ],
)
def test_a_ping_that_may_not_go_all_the_way_is_no_plain_one(typed: str, plain: bool) -> None:
    where = "198.51.100.7"
    evidence = Evidence(readings(linux(typed.format(where), SILENT.format(where))))
    assert (where in evidence.pings) is plain


@pytest.mark.parametrize(("typed", "plain"), [("ping -t {}", True), ("ping -i 3 {}", False), ("ping /f {}", False)])
def test_a_ping_of_windows_that_may_not_go_all_the_way(typed: str, plain: bool) -> None:
    where = "198.51.100.7"
    text = f"\nPinging {where} with 32 bytes of data:\nRequest timed out.\n"
    assert (where in Evidence(readings(windows(typed.format(where), text))).pings) is plain


ESTABLISHED = (
    "* Host x.example:80 was resolved.\n* IPv6: (none)\n* IPv4: 192.0.2.7\n*   Trying 192.0.2.7:80...\n"
    "* Established connection to x.example (192.0.2.7 port 80) from 192.0.2.10 port 50000 \n> GET / HTTP/1.1\n> \n"
)


def test_curl_says_that_it_is_connected_in_new_words() -> None:
    (one,) = seen(linux("curl -v http://x.example/", ESTABLISHED), Connection)
    assert (one.connected, one.address, one.port, one.source) == (True, "192.0.2.7", 80, "192.0.2.10")
    late = ESTABLISHED + "* Operation timed out after 8001 milliseconds with 0 bytes received\n" + (
        "curl: (28) Operation timed out after 8001 milliseconds with 0 bytes received\n"
    )  # fmt: skip
    assert [one.connected for one in seen(linux("curl -v http://x.example/", late), Connection)] == [True]
    (served,) = seen(linux("curl -v http://x.example/", late), Served)
    assert (served.result.outcome, served.result.waited_ms) == (ServiceOutcome.SILENT, 8001.0)


def test_curl_says_how_long_it_waited() -> None:
    text = "*   Trying 192.0.2.7:80...\n* Connection timed out after 8001 milliseconds\n* Closing connection\n"
    (one,) = seen(linux("curl -v http://192.0.2.7/", text), Connection)
    assert (one.failure, one.duration_ms) == (Failure.TIMED_OUT, 8001.0)
    first = "*   Trying [2001:db8::7]:80...\n*   Trying 192.0.2.7:80...\n"
    both = seen(linux("curl -v http://x.example/", first + "\n".join(text.split("\n")[1:])), Connection)
    assert [one.duration_ms for one in both] == [None]  # each was given a part of it
    (served,) = seen(linux("curl -v http://x.example/", ESTABLISHED + "curl: (28) Operation timed out\n"), Served)
    assert served.result.waited_ms == 0.0


@pytest.mark.parametrize("new", [True, False])
def test_curl_that_follows_looks_each_name_up(new: bool) -> None:
    text = ""
    for name, where in (("x.example", "192.0.2.7"), ("www.x.example", "192.0.2.8")):
        text += f"* Host {name}:80 was resolved.\n* IPv6: (none)\n* IPv4: {where}\n" if new else ""
        text += f"*   Trying {where}:80...\n* Connected to {name} ({where}) port 80\n> GET / HTTP/1.1\n> \n"
        text += "< HTTP/1.1 301 Moved\n< \n* Issue another request to this URL: 'http://www.x.example/'\n"
    found = {one.name: one.addresses for one in seen(linux("curl -vL http://x.example/", text), LookUp)}
    assert found == {"x.example": ("192.0.2.7",), "www.x.example": ("192.0.2.8",)}
    ends = [(one.name, one.address) for one in seen(linux("curl -vL http://x.example/", text), Connection)]
    assert ends == [("x.example", "192.0.2.7"), ("www.x.example", "192.0.2.8")]


def test_curl_for_two_names_looks_each_up_though_the_first_failed() -> None:
    text = "* Host x.example:80 was resolved.\n* IPv4: 192.0.2.7\n*   Trying 192.0.2.7:80...\n"
    text += "* connect to 192.0.2.7 port 80 failed: Connection refused\n"
    text += ESTABLISHED.replace("x.example", "y.example").replace("192.0.2.7", "192.0.2.8")
    found = {
        one.name: one.addresses for one in seen(linux("curl -v http://x.example/ http://y.example/", text), LookUp)
    }
    assert found == {"x.example": ("192.0.2.7",), "y.example": ("192.0.2.8",)}


def test_ipconfig_says_which_address_is_taken() -> None:
    fields = (
        "   IPv4 Address. . . . . . . . . . . : 192.0.2.{}({})\n   Subnet Mask . . . . . . . . . . . : 255.255.255.0\n"
    )
    text = "\nWindows IP Configuration\n\n\nEthernet adapter Ethernet:\n\n"
    text += fields.format(10, "Preferred") + fields.format(11, "Duplicate") + fields.format(12, "Tentative")
    ((one,),) = (table.interfaces for table in seen(windows("ipconfig /all", text), Interfaces))
    assert [(a.duplicate, a.tentative) for a in one.addresses] == [(False, False), (True, False), (False, True)]


def test_of_two_prompts_one_machine_is_judged() -> None:
    client = linux("ip route", "default via 192.0.2.1 dev eth0\n") + linux("getent ahosts x.example", "")
    server = linux("ip route", "default via 198.51.100.1 dev eth0\n", host="server")
    kept, others = of_one_machine(readings(client + server))
    assert ({one.host for one in kept}, len(kept), others) == ({"client"}, 2, 1)
    assert judged("10060", "198.51.100.7:443", client + server).vantage.hostname == "client"
    again, others = of_one_machine(readings(client + client.replace("kim@", "root@")))
    assert (len(again), others) == (4, 0)  # one machine, two users
    mark = "=== wsadiag: ip route ===\ndefault via 203.0.113.1 dev eth0\n"
    assert of_one_machine(readings(client + server + mark))[1] == 2  # nobody says whose that is
    assert of_one_machine(readings(client + mark))[1] == 0


@pytest.mark.parametrize("before", ["", "sudo ", "LC_ALL=C ", "LC_ALL=C sudo -n "])
def test_what_stands_before_a_command_is_no_argument(before: str) -> None:
    assert [one.name for one in seen(linux(f"{before}getent ahosts x.example", ""), LookUp)] == ["x.example"]
    heads = "State Recv-Q Send-Q Local Address:Port Peer Address:Port\nLISTEN 0 5 127.0.0.1:80 0.0.0.0:*\n"
    assert [one.whole for one in seen(linux(f"{before}ss -tan", heads), Sockets)] == [True]
    routes = seen(linux(f"{before}ip route", "default via 192.0.2.1 dev eth0\n"), Routes)
    assert [one.whole for one in routes] == [True]
    assert [one.whole for one in seen(linux(f"{before}ip route", ""), Routes)] == [True]
