"""Kinds of addresses by their numbers, and by what the kernel holds."""

from __future__ import annotations

import asyncio

import pytest
from linklab import NOBODY, LinkLab

from probes import address
from probes.address import AddressKind
from probes.base import Context, NotApplicable


def look(text: str) -> address.AddressResult:
    return asyncio.run(address.observe(address.AddressRequest(text), Context(), lambda _: None))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("0.0.0.0", AddressKind.UNSPECIFIED),
        ("::", AddressKind.UNSPECIFIED),
        ("::ffff:0.0.0.0", AddressKind.UNSPECIFIED),
        ("0.1.2.3", AddressKind.RESERVED),
        ("127.9.9.9", AddressKind.LOOPBACK),
        ("::1", AddressKind.LOOPBACK),
        ("169.254.7.7", AddressKind.LINK_LOCAL),
        ("fe80::1234", AddressKind.LINK_LOCAL),
        ("224.0.0.251", AddressKind.MULTICAST),
        ("ff02::fb", AddressKind.MULTICAST),
        ("255.255.255.255", AddressKind.BROADCAST),
        ("240.0.0.1", AddressKind.RESERVED),
        ("100::1", AddressKind.RESERVED),
        ("203.0.113.9", AddressKind.UNICAST),
        ("2001:db8::9", AddressKind.UNICAST),
    ],
)
def test_kind_by_number(text: str, kind: AddressKind) -> None:
    found = look(text)
    assert found.kind is kind
    assert found.family == (6 if ":" in text else 4)
    assert found.local == (kind is AddressKind.LOOPBACK)


def test_zone_and_mapping() -> None:
    assert look("fe80::1").zone_missing
    assert not look("fe80::1%lo").zone_missing
    assert not look("169.254.7.7").zone_missing
    mapped = look("::ffff:127.0.0.1")
    assert (mapped.mapped, mapped.local, mapped.kind) == ("127.0.0.1", True, AddressKind.LOOPBACK)


@pytest.mark.parametrize("text", ["", "example.com", "10.1", "1.2.3.4.5", "::g", "\x1b[31m"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(NotApplicable):
        look(text)


@pytest.mark.lab
@pytest.mark.parametrize("uid", [0, NOBODY])
def test_own_subnets(uid: int) -> None:
    code = """
    texts = ["10.77.1.2", "10.77.1.255", "10.77.1.0", "10.77.1.3", "10.90.0.0", "10.90.0.1", "10.91.5.5",
             "fd77:1::2", "fd77:1::", "10.92.0.9", "10.92.0.15", "10.93.0.1"]
    result = [observe("address", address=text) for text in texts]
    """
    with LinkLab() as lab:
        lab.sh("client", "ip addr add 10.90.0.0/31 dev e0; ip route add local 10.91.0.0/16 dev lo")
        lab.sh("client", "ip addr add 10.92.0.1/28 brd 10.92.0.9 dev e0")
        lab.sh("client", "ip link add d0 type veth peer name d1; ip addr add 10.93.0.1/24 dev d0")
        found = lab.run(code, uid=uid)
    assert [(result.kind.value, result.local) for result in found] == [
        ("unicast", True),
        ("broadcast", False),
        ("subnet-network", False),
        ("unicast", False),
        ("unicast", True),
        ("unicast", False),
        ("unicast", True),
        ("unicast", True),
        ("unicast", False),
        ("broadcast", False),
        ("broadcast", False),  # the kernel keeps the usual one beside the configured one
        ("unicast", True),
    ]
    assert found[3].near[0] == "10.77.1.2"
    assert len(found[3].near) <= 5
    assert found[8].near[0] == "fd77:1::2"
