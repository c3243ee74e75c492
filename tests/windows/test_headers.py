"""The layouts of probes/system/windows, held to mingw-w64's headers by its compiler."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from probes.system.windows import layouts

_COMPILER: Final = next(
    filter(None, map(shutil.which, ("x86_64-w64-mingw32-gcc", "x86_64-w64-mingw32-gcc-win32"))), None
)
#: Each structure: its name in the headers, and of some of its fields the names there.
_STRUCTURES: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "WsaData": ("WSADATA", {"vendor_info": "lpVendorInfo", "description": "szDescription"}),
    "ProtocolInfo": ("WSAPROTOCOL_INFOW", {"provider": "ProviderId", "chain": "ProtocolChain", "name": "szProtocol"}),
    "FixedFileInfo": ("VS_FIXEDFILEINFO", {"file_version_high": "dwFileVersionMS"}),
    "NameServer": ("IP_ADAPTER_DNS_SERVER_ADDRESS_XP", {"address": "Address"}),
    "SocketAddress": ("SOCKET_ADDRESS", {"length": "iSockaddrLength"}),
    "UnicastAddress": (
        "IP_ADAPTER_UNICAST_ADDRESS_LH",
        {"address": "Address", "duplicate_state": "DadState", "prefix": "OnLinkPrefixLength"},
    ),
    "InterfaceRow": (
        "MIB_IF_ROW2",
        {
            "index": "InterfaceIndex",
            "mtu": "Mtu",
            "type": "Type",
            "status": "OperStatus",
            "admin_status": "AdminStatus",
            "media_state": "MediaConnectState",
            "in_unicast": "InUcastPkts",
            "in_other": "InNUcastPkts",
            "in_discards": "InDiscards",
            "in_errors": "InErrors",
            "out_unicast": "OutUcastPkts",
            "out_other": "OutNUcastPkts",
            "out_discards": "OutDiscards",
            "out_errors": "OutErrors",
        },
    ),
    "RouteRow": (
        "MIB_IPFORWARD_ROW2",
        {
            "index": "InterfaceIndex",
            "destination": "DestinationPrefix.Prefix",
            "prefix": "DestinationPrefix.PrefixLength",
            "next_hop": "NextHop",
            "metric": "Metric",
        },
    ),
    "OldRouteRow": (
        "MIB_IPFORWARDROW",
        {
            "destination": "dwForwardDest",
            "mask": "dwForwardMask",
            "next_hop": "dwForwardNextHop",
            "index": "dwForwardIfIndex",
            "metrics": "dwForwardMetric1",
        },
    ),
    "NeighbourRow": (
        "MIB_IPNET_ROW2",
        {
            "address": "Address",
            "index": "InterfaceIndex",
            "physical_address": "PhysicalAddress",
            "physical_length": "PhysicalAddressLength",
            "state": "State",
            "flags": "Flags",
        },
    ),
    "EchoOptions": ("IP_OPTION_INFORMATION", {"ttl": "Ttl", "flags": "Flags", "data": "OptionsData"}),
    "EchoReply": (
        "ICMP_ECHO_REPLY",
        {"address": "Address", "status": "Status", "data": "Data", "options": "Options"},
    ),
}
#: Only the beginning of this one is laid out here.
_BEGUN: Final = {
    "AdapterAddresses": (
        "IP_ADAPTER_ADDRESSES",
        {
            "index": "IfIndex",
            "next": "Next",
            "unicast": "FirstUnicastAddress",
            "name_servers": "FirstDnsServerAddress",
            "suffix": "DnsSuffix",
            "friendly_name": "FriendlyName",
            "physical_address": "PhysicalAddress",
            "physical_length": "PhysicalAddressLength",
            "flags": "Flags",
            "mtu": "Mtu",
            "type": "IfType",
            "status": "OperStatus",
        },
    )
}
_HEADERS: Final = ("winsock2.h", "ws2ipdef.h", "windows.h", "iphlpapi.h", "netioapi.h", "icmpapi.h")


def claims() -> list[str]:
    """Return one assertion of C for each size and offset."""
    found = []
    for name, (there, fields) in {**_STRUCTURES, **_BEGUN}.items():
        layout: type[ctypes.Structure] = getattr(layouts, name)
        if name in _STRUCTURES:
            found.append(f'_Static_assert(sizeof({there}) == {ctypes.sizeof(layout)}, "{there}");')
        for field, theirs in fields.items():
            offset = getattr(layout, field).offset
            found.append(f'_Static_assert(offsetof({there}, {theirs}) == {offset}, "{there}.{theirs}");')
    return found


def compiled(lines: list[str], folder: Path) -> str:
    """Compile, and return what the compiler complains of."""
    if _COMPILER is None:
        pytest.skip("mingw-w64's compiler is not installed (gcc-mingw-w64-x86-64-win32)")
    source = folder / "layouts.c"
    head = ["#define _WIN32_WINNT 0x0A00", "#include <stddef.h>", *(f"#include <{header}>" for header in _HEADERS)]
    source.write_text("\n".join([*head, *lines, ""]), encoding="ascii")
    command = [_COMPILER, "-fsyntax-only", str(source)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stderr


def test_every_structure_lies_as_the_headers_have_it(tmp_path: Path) -> None:
    assert compiled(claims(), tmp_path) == ""


def test_the_compiler_would_tell_a_wrong_one(tmp_path: Path) -> None:
    wrong = claims()[0].replace("==", "==1+")
    assert "static assertion failed" in compiled([wrong], tmp_path)


def test_no_structure_is_left_out() -> None:
    laid_out = {
        name for name, one in vars(layouts).items() if isinstance(one, type) and one.__module__ == layouts.__name__
    }
    assert laid_out - {"Guid", "ProtocolChain"} == {*_STRUCTURES, *_BEGUN}
