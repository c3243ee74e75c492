"""Packets built by hand, read back, and garbage that must not harm."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.system.linux import frames

MAC = bytes.fromhex("020000000001")


@pytest.mark.parametrize(("source", "address"), [("192.0.2.1", "198.51.100.7"), ("2001:db8::1", "2001:db8:9::7")])
def test_an_echo_request_is_read_back(source: str, address: str) -> None:
    packet = frames.read(frames.echo_request(address, source, 77, 3, b"odd"))
    assert packet is not None
    assert (packet.source, packet.destination, packet.ttl) == (source, address, 64)
    assert frames.echoed(packet, 77) == 3
    assert frames.echoed(packet, 78) is None
    assert frames.echo_reply(packet, 77) is None


def test_checksum_of_rfc_1071() -> None:
    assert frames.checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0x220D
    header = frames.echo_request("198.51.100.7", "192.0.2.1", 1, 1, b"")[:20]
    assert frames.checksum(header) == 0  # a right checksum makes the sum vanish


def test_only_the_owner_counts() -> None:
    reply = bytes.fromhex("0001080006040002") + MAC + bytes([192, 0, 2, 7]) + bytes(6) + bytes([192, 0, 2, 1])
    assert frames.arp_reply_from(reply, "192.0.2.7") == MAC
    assert frames.arp_reply_from(reply, "192.0.2.8") is None
    assert frames.arp_reply_from(frames.arp_request("192.0.2.7", "192.0.2.7", MAC), "192.0.2.7") is None


def test_an_advertisement_from_beyond_the_link_is_not_believed() -> None:
    body = bytes([136, 0, 0, 0, 0x60, 0, 0, 0]) + bytes.fromhex("20010db8000000000000000000000007") + b"\x02\x01" + MAC
    near = frames.Packet("2001:db8::7", "2001:db8::1", frames.ICMPV6, 255, body)
    far = frames.Packet("2001:db8::7", "2001:db8::1", frames.ICMPV6, 254, body)
    assert frames.advertised_by(near, "2001:db8::7", b"") == MAC
    assert frames.advertised_by(near, "2001:db8::8", b"") is None
    assert frames.advertised_by(far, "2001:db8::7", b"") is None
    bare = frames.Packet("2001:db8::7", "2001:db8::1", frames.ICMPV6, 255, body[:24])
    assert frames.advertised_by(bare, "2001:db8::7", MAC) == MAC


def test_the_packet_inside_an_error() -> None:
    request = frames.echo_request("198.51.100.7", "192.0.2.1", 77, 3, b"")
    error = frames.Packet("192.0.2.254", "192.0.2.1", frames.ICMP, 64, b"\x03\x04\0\0\0\0\x05\x14" + request)
    quoted = frames.quoted(error)
    assert quoted is not None
    assert (quoted.type, quoted.code, quoted.info) == (3, 4, 1300)
    assert frames.echoed(quoted.packet, 77) == 3


@given(st.binary(max_size=120), st.sampled_from([b"", b"\x45", b"\x46", b"\x60"]))
def test_garbage_is_none(garbage: bytes, start: bytes) -> None:
    data = start + garbage
    frames.arp_reply_from(data, "192.0.2.1")
    packet = frames.read(data)
    if packet is not None:
        frames.quoted(packet)
        frames.ports(packet)
        frames.tcp_flags(packet)
        frames.echo_reply(packet, 1)
        frames.advertised_by(packet, "2001:db8::1", b"")
