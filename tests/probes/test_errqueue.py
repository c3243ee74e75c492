"""Decoding of the error queue: messages built byte by byte, broken ones included, and the queue of a real socket."""

from __future__ import annotations

import errno
import socket
import struct
import sys
import time

import pytest

from probes.failure import IcmpError, IcmpMeaning
from probes.system.endpoint import endpoint, text_of
from probes.system.linux import constants, errqueue, icmp

ERR4 = (socket.IPPROTO_IP, constants.IP_RECVERR)
ERR6 = (socket.IPPROTO_IPV6, constants.IPV6_RECVERR)


def entry(number: int, origin: int, kind: int, code: int, *, info: int = 0, sender: bytes = b"") -> bytes:
    return struct.pack("=IBBBBII", number, origin, kind, code, 0, info, 0) + sender


def four(address: str) -> bytes:
    return struct.pack("=HH", socket.AF_INET, 0) + socket.inet_aton(address) + bytes(8)


def six(address: str, scope: int = 0) -> bytes:
    return (
        struct.pack("=HHI", socket.AF_INET6, 0, 0)
        + socket.inet_pton(socket.AF_INET6, address)
        + struct.pack("=I", scope)
    )


def test_an_icmp_error_keeps_type_code_sender_and_times() -> None:
    data = entry(errno.EHOSTUNREACH, 2, 3, 13, info=7, sender=four("192.0.2.1"))
    ancillary = [
        (*ERR4, data),
        (socket.IPPROTO_IP, socket.IP_TTL, struct.pack("=i", 61)),
        (socket.SOL_SOCKET, constants.SO_TIMESTAMPNS, struct.pack("=qq", 1000, 500_000_000)),
    ]
    found = errqueue.decode(b"quoted", ancillary, ("198.51.100.1", 33434))
    assert found is not None
    assert found.icmp == IcmpError(4, 3, 13, "192.0.2.1")
    assert (found.errno, found.payload, found.port) == (errno.EHOSTUNREACH, b"quoted", 33434)
    assert (found.ttl, found.received_s) == (61, 1000.5)


def test_too_big_keeps_the_mtu() -> None:
    old = errqueue.decode(b"", [(*ERR4, entry(errno.EMSGSIZE, 2, 3, 4, info=1400, sender=four("192.0.2.1")))], ())
    new = errqueue.decode(b"", [(*ERR6, entry(errno.EMSGSIZE, 3, 2, 0, info=1280, sender=six("2001:db8::1")))], ())
    assert old is not None
    assert new is not None
    assert old.icmp == IcmpError(4, 3, 4, "192.0.2.1", 1400)
    assert new.icmp == IcmpError(6, 2, 0, "2001:db8::1", 1280)
    assert new.icmp.meaning is IcmpMeaning.TOO_BIG


def test_the_local_stack_is_no_icmp_sender() -> None:
    found = errqueue.decode(b"", [(*ERR4, entry(errno.EMSGSIZE, 1, 0, 0, info=1500, sender=bytes(16)))], ())
    assert found is not None
    assert (found.icmp, found.info) == (None, 1500)


def test_a_link_local_sender_keeps_its_interface() -> None:
    scope = socket.if_nametoindex("lo")
    found = errqueue.decode(b"", [(*ERR6, entry(113, 3, 3, 0, sender=six("fe80::1", scope)))], ())
    assert found is not None
    assert found.icmp is not None
    assert found.icmp.sender == "fe80::1%lo"


@pytest.mark.parametrize(
    "ancillary",
    [
        [],
        [(*ERR4, b"")],
        [(*ERR4, bytes(15))],
        [(*ERR4, entry(0, 4, 0, 0))],
        [(socket.SOL_SOCKET, constants.SO_TIMESTAMPNS, b"\0")],
        [(socket.IPPROTO_IP, socket.IP_TTL, b"\0")],
    ],
)
def test_what_is_no_error_is_passed_over(ancillary: list[tuple[int, int, bytes]]) -> None:
    assert errqueue.decode(b"", ancillary, ("192.0.2.1", 1)) is None


@pytest.mark.parametrize("sender", [b"", b"\2", four("192.0.2.1")[:6], six("::1")[:20], b"\x63\0" + bytes(40)])
def test_a_sender_that_cannot_be_read_is_none(sender: bytes) -> None:
    found = errqueue.decode(b"", [(*ERR4, entry(113, 2, 3, 1, sender=sender))], ())
    assert found is not None
    assert found.icmp is not None
    assert found.icmp.sender is None


def test_a_stamp_that_cannot_be_true_gives_way_to_the_steady_clock() -> None:
    since = errqueue.Stamp(time.time(), time.monotonic() - 0.01)
    assert 10 <= errqueue.elapsed_ms(since) < 1000
    assert errqueue.elapsed_ms(since, since.wall_s + 0.004) == pytest.approx(4, abs=0.01)
    assert errqueue.elapsed_ms(since, since.wall_s - 3600) >= 10
    assert 10 <= errqueue.elapsed_ms(since, since.wall_s + 3600) < 1000


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has an error queue")
def test_a_real_refusal_and_the_send_after_it() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.setblocking(False)
        queue = errqueue.QueuedSocket(opened)
        for text in (b"one", b"two", b"three"):
            queue.send(text, to=("127.0.0.1", port))  # each send after the first meets a pending error
        found = queue.errors()
        assert [one.payload for one in found] == [b"one", b"two", b"three"]
        assert {(one.errno, one.port) for one in found} == {(errno.ECONNREFUSED, port)}
        assert {one.icmp for one in found} == {IcmpError(4, 3, 3, "127.0.0.1")}
        assert all(one.ttl == 64 for one in found)
        assert queue.errors() == []
        assert queue.received() == []


@pytest.mark.parametrize(
    ("given", "version", "text"),
    [
        ("127.0.0.1", 4, "127.0.0.1"),
        ("::1", 6, "::1"),
        ("2001:DB8:0:0::1", 6, "2001:db8::1"),
        ("::ffff:127.0.0.1", 4, "127.0.0.1"),
        ("::FFFF:127.0.0.1", 4, "127.0.0.1"),
        ("fe80::1%lo", 6, "fe80::1%lo"),
    ],
)
def test_literals_are_read_in_every_form(given: str, version: int, text: str) -> None:
    found = endpoint(given, 80)
    assert (found.version, found.text) == (version, text)
    assert found.at(81)[1] == 81
    assert found.sent(text)
    assert not found.sent(None)


def test_a_scope_without_an_interface_stays_a_number() -> None:
    assert text_of("fe80::1", 999_999) == "fe80::1%999999"


@pytest.mark.parametrize("data", [b"", b"\1", b"\x08\x00\x00\x00\x12\x34\x00\x01", bytes(range(33))])
def test_the_checksum_closes_to_zero(data: bytes) -> None:
    even = data + b"\0" * (len(data) % 2)
    assert icmp.checksum(even + struct.pack("!H", icmp.checksum(even))) == 0
