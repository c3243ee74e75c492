"""The interfaces probe: this machine's loopback, and interfaces in every bad state."""

from __future__ import annotations

import asyncio

import pytest
from linklab import NOBODY, LinkLab

from probes import interfaces
from probes.base import Context


def test_this_machine_has_a_loopback_interface() -> None:
    found = asyncio.run(interfaces.observe(interfaces.InterfacesRequest(), Context(), lambda _: None))
    loopback = next(interface for interface in found.interfaces if interface.loopback)
    assert loopback.mac is None
    assert [address.prefix for address in loopback.addresses if address.address == "127.0.0.1"] == [8]
    assert [interface.index for interface in found.interfaces] == sorted(
        interface.index for interface in found.interfaces
    )


@pytest.mark.lab
@pytest.mark.parametrize("uid", [0, NOBODY])
def test_states_of_interfaces(uid: int) -> None:
    with LinkLab() as lab:
        lab.sh("client", "ip link add d0 type veth peer name d1; ip link set d0 up mtu 1280")
        lab.sh("client", "ip link add f0 type veth peer name f1; ip link set f0 up; ip link set f1 up")
        lab.sh("client", "echo 1 >/proc/sys/net/ipv6/conf/f0/accept_dad; ip addr add fd99::1/64 dev f0")
        found = lab.observe("interfaces", uid=uid)
        by_name = {interface.name: interface for interface in found.interfaces}
        mac = lab.mac("client")
    up, down, bare, fresh = by_name["e0"], by_name["d1"], by_name["d0"], by_name["f0"]
    assert (up.up, up.carrier, up.mtu, up.mac) == (True, True, 1500, mac)
    held = {address.address: address for address in up.addresses}
    assert (held["10.77.1.2"].prefix, held["10.77.1.2"].broadcast) == (24, "10.77.1.255")
    assert (held["fd77:1::2"].prefix, held["fd77:1::2"].tentative) == (64, False)
    assert up.rx_errors == 0
    assert (down.up, down.carrier) == (False, None)
    assert (bare.up, bare.carrier, bare.mtu, bare.addresses) == (True, False, 1280, ())
    assert any(address.tentative for address in fresh.addresses)
    assert not any(interface.ipv6_off for interface in found.interfaces)


@pytest.mark.lab
def test_ipv6_switched_off() -> None:
    with LinkLab() as lab:
        lab.sh("client", "echo 1 >/proc/sys/net/ipv6/conf/e0/disable_ipv6")
        partly = lab.observe("interfaces")
        lab.sh("client", "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6")
        wholly = lab.observe("interfaces")
    assert {i.name for i in partly.interfaces if i.ipv6_off} == {"e0"}
    assert all(i.ipv6_off for i in wholly.interfaces)
