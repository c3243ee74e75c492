"""What Windows tells, read and judged on any system: layouts, netsh's tables, Winsock's catalogue.

The two reports are those of real runs under wine (tests/windows/wine.py); what wine has not is written into them.
"""

from __future__ import annotations

import ctypes
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from probes.base import Note
from probes.system.literal import literal
from probes.system.windows import (
    adapters,
    counters,
    excluded_ports,
    iphlpapi,
    name_servers,
    neighbourhood,
    routes,
    winsock,
)
from probes.system.windows.excluded_ports import ExcludedPorts, PortRange, parse
from probes.system.windows.layouts import (
    AdapterAddresses,
    EchoOptions,
    EchoReply,
    FixedFileInfo,
    Guid,
    InterfaceRow,
    NameServer,
    NeighbourRow,
    OldRouteRow,
    ProtocolChain,
    ProtocolInfo,
    RouteRow,
    SocketAddress,
    UnicastAddress,
    WsaData,
)
from troubleshoot.report import Report, from_json
from troubleshoot.run.engine import replay

REPORTS = Path(__file__).parents[1] / "data/windows"

# -- layouts: what the compiler of the Windows SDK's headers says for 64-bit programs -----------------------------


@pytest.mark.parametrize(
    ("layout", "size"),
    [
        (WsaData, 408),
        (Guid, 16),
        (ProtocolChain, 32),
        (ProtocolInfo, 628),
        (FixedFileInfo, 52),
        (NameServer, 32),
        (SocketAddress, 16),
        (UnicastAddress, 64),
        (InterfaceRow, 1352),
        (RouteRow, 104),
        (OldRouteRow, 56),
        (NeighbourRow, 88),
        (EchoOptions, 16),
        (EchoReply, 40),
    ],
)
def test_a_structure_is_as_large_as_windows_has_it(layout: type[ctypes.Structure], size: int) -> None:
    assert ctypes.sizeof(layout) == size


@pytest.mark.parametrize(
    ("layout", "field", "offset"),
    [
        (WsaData, "vendor_info", 8),
        (WsaData, "description", 16),
        (WsaData, "system_status", 273),
        (ProtocolInfo, "provider", 20),
        (ProtocolInfo, "entry", 36),
        (ProtocolInfo, "chain", 40),
        (ProtocolInfo, "version", 72),
        (ProtocolInfo, "family", 76),
        (ProtocolInfo, "name", 116),
        (FixedFileInfo, "file_version_high", 8),
        (AdapterAddresses, "next", 8),
        (AdapterAddresses, "name_servers", 48),
        (AdapterAddresses, "mtu", 96),
        (AdapterAddresses, "status", 104),
        (NameServer, "address", 16),
        (UnicastAddress, "duplicate_state", 40),
        (UnicastAddress, "prefix", 56),
        (InterfaceRow, "mtu", 1124),
        (InterfaceRow, "status", 1156),
        (InterfaceRow, "media_state", 1164),
        (InterfaceRow, "in_octets", 1208),
        (InterfaceRow, "out_errors", 1312),
        (RouteRow, "destination", 12),
        (RouteRow, "next_hop", 44),
        (RouteRow, "metric", 84),
        (OldRouteRow, "next_hop", 12),
        (OldRouteRow, "metrics", 36),
        (NeighbourRow, "physical_address", 40),
        (NeighbourRow, "state", 76),
        (EchoReply, "data", 16),
        (EchoReply, "options", 24),
    ],
)
def test_a_field_lies_where_windows_has_it(layout: Any, field: str, offset: int) -> None:
    assert getattr(layout, field).offset == offset


def _sockaddr(text: str) -> bytes:
    return routes.sockaddr(literal(text))


@pytest.mark.parametrize(("hop", "gateway"), [("10.1.0.1", "10.1.0.1"), ("0.0.0.0", None), ("fe80::1", "fe80::1")])
def test_a_route_of_the_table_is_read(hop: str, gateway: str | None) -> None:
    row = RouteRow(index=7, prefix=12, metric=25)
    row.destination[:] = _sockaddr("10.16.0.0")
    row.next_hop[:] = _sockaddr(hop)
    assert routes.entry(row) == routes.Entry("10.16.0.0", 12, gateway, 7, 25)
    assert routes.entry(row).holds("10.31.255.255")
    assert not routes.entry(row).holds("10.32.0.0")


def test_the_older_call_names_itself_as_the_next_hop_of_a_direct_route() -> None:
    row = OldRouteRow(index=7)
    row.destination[:], row.mask[:], row.next_hop[:] = (10, 1, 0, 0), (255, 255, 0, 0), (10, 1, 0, 9)
    assert routes.old_entry(row, {"10.1.0.9"}) == routes.Entry("10.1.0.0", 16, None, 7, 0)
    assert routes.old_entry(row, {"10.1.0.8"}).gateway == "10.1.0.9"


@pytest.mark.parametrize(
    ("state", "mac", "told"),
    [
        (5, "0200000000aa", "stale"),
        (5, "", "incomplete"),
        (4, "", "incomplete"),
        (0, "", "failed"),
        (6, "02", "permanent"),
    ],
)
def test_a_neighbour_of_the_table_is_a_memory(state: int, mac: str, told: str) -> None:
    row = NeighbourRow(index=7, state=state, physical_length=len(mac) // 2)
    row.address[:] = _sockaddr("10.1.0.9")
    row.physical_address[: len(mac) // 2] = bytes.fromhex(mac)
    found = neighbourhood.entry(row, {7: "Ethernet"})
    assert found is not None
    assert (found.address, found.interface, found.state, found.confirmed) == ("10.1.0.9", "Ethernet", told, False)


@pytest.mark.parametrize(
    ("address", "group"),
    [("239.255.255.250", True), ("ff02::1", True), ("10.0.0.1", False), ("fe80::1", False), ("fd00::1", False)],
)
def test_a_group_is_no_neighbour(address: str, group: bool) -> None:
    row = NeighbourRow(index=7, state=6)
    row.address[:] = _sockaddr(address)
    assert (neighbourhood.entry(row, {}) is None) is group


def test_the_counters_of_both_families_are_one_sum_and_one_stack_is_counted_once() -> None:
    columns = {0: "NoPorts"}
    assert list(counters.added("Udp", columns, [[3], [4]])) == [("Udp.NoPorts", 7)]
    assert list(counters.added("Udp", columns, [[3], [3]])) == [("Udp.NoPorts", 3)]
    assert list(counters.added("Udp", columns, [])) == []


@pytest.mark.parametrize(
    ("status", "admin", "media", "told"),
    [(1, 1, 1, (True, True)), (2, 1, 2, (True, False)), (1, 1, 2, (True, False)), (2, 2, 2, (False, None))],
)
def test_an_adapter_is_switched_off_or_has_no_cable(
    status: int, admin: int, media: int, told: tuple[bool, bool | None]
) -> None:
    row = InterfaceRow(admin_status=admin, media_state=media, in_errors=5)
    adapter = AdapterAddresses(index=7, status=status, type=6, mtu=1500, flags=0x180, physical_length=6)
    adapter.physical_address[:6] = bytes.fromhex("0200000000aa")
    found = adapters.interface(adapter, row)
    assert ((found.up, found.carrier), found.rx_errors, found.mac) == (told, 5, "02:00:00:00:00:aa")
    assert not found.ipv6_off
    adapter.flags = 0x80
    assert adapters.interface(adapter, None).ipv6_off


class _Library:
    """A library with one call, which answers with a number; what is not exported is an ``AttributeError``."""

    def __init__(self, number: int) -> None:
        self.GetBestRoute2 = lambda *_: number


@pytest.mark.parametrize("number", [1, 50, 87, 120])
def test_a_call_that_a_system_lacks_is_no_answer(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(iphlpapi, "load", lambda _: _Library(number))
    for name in ("GetBestRoute2", "ResolveIpNetEntry2"):
        with pytest.raises(iphlpapi.Lacking):
            iphlpapi.ask(name)


def test_an_error_of_a_call_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(iphlpapi, "load", lambda _: _Library(1232))
    assert iphlpapi.ask("GetBestRoute2") == 1232


def test_an_entry_of_the_catalogue_is_read() -> None:
    info = ProtocolInfo()
    info.entry, info.family, info.type, info.protocol, info.version = 1036, 23, 1, 6, 2
    info.chain.length = 2
    info.chain.entries[0], info.chain.entries[1] = 1035, 1001
    info.provider.data1, info.provider.data2, info.provider.data3 = 0xE70F1AA0, 0xAB8B, 0x11CF
    info.provider.data4[:] = bytes.fromhex("8ca300805f48a192")
    info.name[:10] = [ord(c) for c in "Filter\x07 \0x"]
    found = winsock.provider(info, r"C:\x.dll", missing=True)
    assert (found.kind, found.chain, found.family, found.type) == ("chain", (1035, 1001), "AF_INET6", "SOCK_STREAM")
    assert found.id == "{e70f1aa0-ab8b-11cf-8ca3-00805f48a192}"
    assert found.name == "Filter\N{REPLACEMENT CHARACTER} "
    assert found.missing
    info.chain.length = 0
    assert winsock.provider(info).kind == "layered"
    info.chain.length = 1
    assert winsock.provider(info).kind == "base"
    info.chain.length = 1 << 30
    assert len(winsock.provider(info).chain) == 7
    info.chain.length = -1
    assert winsock.provider(info).chain == ()


def test_versions_and_folders() -> None:
    assert winsock.version_text(0x0202) == "2.2"
    assert winsock.version_text(0x0101) == "1.1"
    assert winsock.is_systems(r"C:\WINDOWS\system32\WS2_32.dll", r"C:\Windows\System32")
    assert not winsock.is_systems(r"C:\Program Files\Game\ws2_32.dll", r"C:\Windows\System32")
    assert not winsock.is_systems(r"C:\Windows\System32\else\ws2_32.dll", r"C:\Windows\System32")


def test_addresses_of_name_servers() -> None:
    head = (2).to_bytes(2, "little") + bytes(2)
    assert name_servers.address_of(head + socket.inet_aton("192.0.2.53") + bytes(8)) == "192.0.2.53"

    def six(address: str, scope: int = 0) -> bytes:
        packed = socket.inet_pton(socket.AF_INET6, address)
        return (23).to_bytes(2, "little") + bytes(6) + packed + scope.to_bytes(4, "little")

    assert name_servers.address_of(six("2001:db8::53")) == "2001:db8::53"
    assert name_servers.address_of(six("fe80::1", 7)) == "fe80::1%7"
    assert name_servers.address_of(six("fec0:0:0:ffff::2")) is None
    assert name_servers.address_of(b"") is None
    assert name_servers.address_of(six("2001:db8::53")[:20]) is None
    assert name_servers.address_of((17).to_bytes(2, "little") + bytes(30)) is None


def test_nothing_of_windows_is_asked_elsewhere() -> None:
    assert winsock.examine() is None
    assert winsock.kernel() is None
    assert winsock.counters() is None
    assert name_servers.configured() is None
    assert excluded_ports.read("tcp", 4) is None


# -- netsh's table, as machines with English and with Korean Windows printed it -----------------------------------

_ENGLISH = """
Protocol tcp Port Exclusion Ranges

Start Port    End Port
----------    --------
      5357        5357
     49671       49770
     50000       50059     *

* - Administered port exclusions.

"""
_KOREAN = """
프로토콜 tcp 포트 제외 범위

시작 포트    끝 포트      
----------    --------      
      7654        7753      
      7754        7853      
     50000       50059     *

* - 관리 포트 제외입니다.

"""  # noqa: W291 - netsh itself leaves blanks at the ends


def test_a_table_in_english() -> None:
    found = parse(_ENGLISH.replace("\n", "\r\n").encode("cp437"))
    assert found == (PortRange(5357, 5357), PortRange(49671, 49770), PortRange(50000, 50059, administered=True))


@pytest.mark.parametrize("encoding", ["cp949", "utf-8"])
def test_a_table_in_korean(encoding: str) -> None:
    found = parse(_KOREAN.replace("\n", "\r\n").encode(encoding))
    assert found == (PortRange(7654, 7753), PortRange(7754, 7853), PortRange(50000, 50059, administered=True))


def test_a_table_without_ranges_is_not_silence() -> None:
    lines = [line for line in _ENGLISH.splitlines() if not line.strip()[:1].isdigit()]
    assert parse("\r\n".join(lines).encode()) == ()
    assert parse(b"") is None
    assert parse(b"The following command was not found: interface ipv4 show excludedportrange.\r\n") is None


def test_what_is_no_range_is_passed_over() -> None:
    rows = "1 2 3\n90000 90001\n20 10\n-1 5\n\u0661 \u0662\n80 81 **\n" + " 443 443\t*\n"
    assert parse(f"{_ENGLISH.partition('      5357')[0]}{rows}".encode()) == (PortRange(443, 443, administered=True),)
    assert parse(b"---------- --------\n" + b"1 2\n" * 200_000) is not None


def test_the_range_that_refuses_a_port_goes_first() -> None:
    known = ExcludedPorts((PortRange(100, 200, administered=True), PortRange(150, 160)))
    assert known.holding(155) == PortRange(150, 160)
    assert known.holding(199) == PortRange(100, 200, administered=True)
    assert known.holding(99) is None
    assert ExcludedPorts(None, Note("reason.netsh-silent")).holding(155) is None


# -- judged -------------------------------------------------------------------------------------------------------


def judged(name: str, change: Callable[[dict[str, Any]], None], probe: str) -> Report:
    """Return the report ``name`` judged again, with every result of ``probe`` changed."""
    document = json.loads((REPORTS / f"{name}.json").read_text(encoding="utf-8"))
    for record in document["probes"]:
        if record["probe"] == probe:
            change(record["result"])
    return replay(from_json(json.dumps(document).encode()), "en")


def verdict(report: Report) -> tuple[str, str | None, str]:
    return report.verdict.outcome, report.verdict.cause, report.verdict.confidence


def facts(report: Report) -> str:
    return "\n".join(item.fact for item in report.verdict.evidence)


def ranges(*found: tuple[int, int, bool]) -> Callable[[dict[str, Any]], None]:
    rows = [{"first": first, "last": last, "administered": administered} for first, last, administered in found]

    def change(result: dict[str, Any]) -> None:
        assert result["attempts"][0]["failure"] == "access-denied"
        result["excluded"] = {"ranges": rows, "reason": None}

    return change


def test_a_range_that_cannot_be_read_is_said() -> None:
    report = judged("10013-port-80", lambda _: None, "bind")
    assert verdict(report) == ("fault", "port-not-permitted", "likely")
    step = next(s for s in report.steps if s.id == "port-owner")
    assert step.summary == "port 80 cannot be bound: EACCES"
    assert step.why == "netsh shows no table of excluded ports"
    assert "could not be read" in facts(report)


def test_a_port_in_a_range_that_windows_keeps_back() -> None:
    report = judged("10013-port-80", ranges((50000, 50059, True), (80, 80, False)), "bind")
    assert verdict(report) == ("fault", "port-not-permitted", "certain")
    assert "excluded range 80-80" in report.verdict.summary
    assert "Windows keeps back: 80-80" in facts(report)
    assert any("winnat" in action for action in report.verdict.actions)


def test_a_range_of_the_administrator_does_not_refuse() -> None:
    report = judged("10013-port-80", ranges((1, 1000, True)), "bind")
    assert verdict(report) == ("fault", "port-not-permitted", "likely")
    assert "excluded by an administrator: 1-1000" in facts(report)


def test_a_port_outside_of_all_ranges() -> None:
    report = judged("10013-port-80", ranges((50000, 50059, True), (8000, 8100, False)), "bind")
    assert verdict(report) == ("fault", "port-not-permitted", "likely")
    assert "none of the 2 ranges" in facts(report)


def test_a_holder_goes_before_a_range_that_cannot_be_read() -> None:
    def hold(result: dict[str, Any]) -> None:
        owner = {"pid": 4, "name": "System", "user": None, "command": None, "started": None}
        entry = {"family": 4, "transport": "tcp", "state": "listen", "local_address": "0.0.0.0", "local_port": 80}
        result["entries"] = [{**entry, "owners": [owner]}]

    report = judged("10013-port-80", hold, "sockets")
    assert verdict(report)[:2] == ("fault", "port-in-use")
    assert "System (pid 4)" in report.verdict.summary


def library(**changes: Any) -> Callable[[dict[str, Any]], None]:
    def change(result: dict[str, Any]) -> None:
        result["winsock"].update(changes)

    return change


PROVIDER = {
    "entry": 1035, "name": "Acme Filter", "kind": "layered", "family": "AF_INET", "type": "SOCK_STREAM",
    "protocol": 6, "version": 2, "id": "{0}", "chain": [], "path": r"C:\Acme\lsp.dll", "missing": False,
}  # fmt: skip
BASE = {**PROVIDER, "entry": 1001, "name": "MSAFD Tcpip [TCP/IP]", "kind": "base", "path": r"C:\w\mswsock.dll"}
DATAGRAM = {**BASE, "entry": 1002, "name": "MSAFD Tcpip [UDP/IP]", "type": "SOCK_DGRAM", "protocol": 17}
CHAIN = {**PROVIDER, "entry": 1036, "kind": "chain", "chain": [1035, 1001]}


def test_a_whole_winsock_is_shown_with_its_file() -> None:
    report = judged("10091", lambda _: None, "network-subsystem")
    assert verdict(report) == ("healthy", None, "likely")
    assert "Winsock 2.2 of C:\\windows\\system32\\WS2_32.dll" in facts(report)


@pytest.mark.parametrize(
    ("providers", "said"),
    [
        ([BASE, DATAGRAM, {**PROVIDER, "missing": True}, CHAIN], r"there is no file C:\Acme\lsp.dll"),
        ([BASE, DATAGRAM, CHAIN], "leads to entry 1035, which is missing"),
        ([BASE], "no Winsock provider offers SOCK_DGRAM over IPv4"),
        ([DATAGRAM, PROVIDER], "no Winsock provider offers SOCK_STREAM over IPv4"),
    ],
)
def test_a_damaged_catalogue_of_providers(providers: list[dict[str, Any]], said: str) -> None:
    report = judged("10091", library(providers=providers), "network-subsystem")
    assert verdict(report) == ("fault", "network-subsystem-down", "likely")
    assert said in facts(report)
    assert report.verdict.failed_step == "network-subsystem"
    assert any("netsh winsock reset" in action for action in report.verdict.actions)


def test_layers_alone_are_named_and_convict_nobody() -> None:
    report = judged("10091", library(providers=[BASE, DATAGRAM, PROVIDER, CHAIN]), "network-subsystem")
    assert report.verdict.cause is None
    assert [other.cause for other in report.verdict.alternatives] == ["network-subsystem-down"]
    step = next(s for s in report.steps if s.id == "network-subsystem")
    assert (step.status, step.summary) == ("warning", "2 Winsock entries are layered: Acme Filter")


def test_a_winsock_that_is_not_the_systems() -> None:
    report = judged("10091", library(library=r"C:\Game\ws2_32.dll", foreign=True), "network-subsystem")
    assert verdict(report) == ("fault", "network-subsystem-down", "likely")
    assert r"not the system's own library but C:\Game\ws2_32.dll" in facts(report)


def test_a_version_that_is_refused_is_certain() -> None:
    start = {"asked": "2.2", "given": "2.2", "highest": "2.2", "description": "", "status": "", "error": 10091}
    report = judged("10091", library(starts=[start]), "network-subsystem")
    assert verdict(report) == ("fault", "network-subsystem-down", "certain")
    assert "WSAStartup refuses version 2.2: error 10091" in facts(report)


def test_a_catalogue_that_cannot_be_listed() -> None:
    report = judged("10091", library(providers=None, error=10107), "network-subsystem")
    assert verdict(report)[:2] == ("fault", "network-subsystem-down")
    assert "cannot be listed: error 10107" in facts(report)


def test_other_families_providers_concern_nobody() -> None:
    bluetooth = {**PROVIDER, "family": "AF_BTH", "kind": "base", "missing": True}
    report = judged("10091", library(providers=[BASE, DATAGRAM, bluetooth]), "network-subsystem")
    assert verdict(report) == ("healthy", None, "likely")
