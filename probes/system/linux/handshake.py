"""Which of the captured packets answer one SYN of ours: what TCP takes for an answer, and what it throws away.

RFC 9293, 3.10.7.3: in SYN-SENT a segment counts only if it acknowledges our SYN; a reset without an acknowledgement, or
with another one, is dropped, and so is all that comes from another address, another port or with a wrong checksum. An
ICMP error counts only if it quotes the sequence number of our SYN (RFC 5927, section 4). A segment whose echoed time
stamp is none that we sent is dropped as well (RFC 7323, section 5).
"""

from __future__ import annotations

import struct
from typing import Final

import msgspec

from probes.failure import IcmpError, IcmpMeaning, Unfitting, UnfittingReason
from probes.system.linux import frames, packet

#: Different packets of a kind that are remembered; more of the same are counted.
_MOST_KINDS: Final = 8
#: Senders of errors that are remembered.
_MOST_SENDERS: Final = 64
#: How far behind our last time stamp an echoed one may seem to lie ahead, in ticks (a millisecond each as a rule).
_AHEAD: Final = 1 << 24
_MODULUS: Final = 1 << 32
_TCP: Final = struct.Struct("!HHIIBBHHH")
_TIME_STAMPS: Final = 8


class Answer(msgspec.Struct, frozen=True):
    """What TCP takes for the answer to a SYN: ``kind`` is ``syn-ack``, ``reset`` or ``icmp``, ``ttl`` its TTL."""

    kind: str
    ttl: int
    icmp: IcmpError | None = None


class Attempt:
    """The packets of the attempt from ``source`` and port ``own`` to ``address`` and ``port``, as they are captured."""

    def __init__(self, address: str, port: int, source: str, own: int) -> None:
        self._address = address
        self._port = port
        self._source = source
        self._own = own
        self._first: int | None = None
        self._stamps: tuple[int, int] | None = None
        self._unfitting: dict[tuple[str, str, str], Unfitting] = {}
        self.syns_out = 0
        self.answer: Answer | None = None
        self.refusers: list[str] = []

    @property
    def unfitting(self) -> tuple[Unfitting, ...]:
        """What came for this attempt and is thrown away, in the order of its coming."""
        return tuple(self._unfitting.values())

    def take(self, frame: packet.Frame) -> None:
        """Count one frame if it belongs to the attempt; the first answer stands."""
        found = frames.read(frame.data)
        if found is None:
            return
        if frame.outgoing:
            self._sent(found)
        elif frame.for_us and found.destination == self._source:
            quoted = frames.quoted(found)
            if quoted is not None:
                self._told(found, quoted, frame)
            elif found.protocol == frames.TCP:
                self._came(found, frame)

    def _sent(self, found: frames.Packet) -> None:
        if found.destination != self._address or frames.ports(found) != (self._own, self._port):
            return
        if frames.tcp_flags(found) & (frames.SYN | frames.ACK | frames.RST) != frames.SYN:
            return
        self.syns_out += 1
        self._first = int.from_bytes(found.payload[4:8], "big")
        stamp = _time_stamp(found.payload)
        if stamp is not None:
            self._stamps = (self._stamps[0] if self._stamps else stamp[0], stamp[0])

    def _came(self, found: frames.Packet, frame: packet.Frame) -> None:
        if self.answer is not None or len(found.payload) < _TCP.size:
            return
        port, own, _, acknowledged, _, flags, _, _, _ = _TCP.unpack_from(found.payload)
        kind = _kind(flags)
        if own != self._own or kind is None:
            return
        ours = bool(flags & frames.ACK) and self._first is not None and acknowledged == (self._first + 1) % _MODULUS
        if (found.source, port) != (self._address, self._port):
            if ours and kind != "ack":  # anything else may belong to a connection of the past
                self._put_aside(kind, found, "address" if found.source != self._address else "port")
        elif not frame.intact:
            self._put_aside(kind, found, "checksum")
        elif not ours or kind == "ack":
            self._put_aside(kind, found, "number")
        elif not self._fits_stamps(found.payload):
            self._put_aside(kind, found, "time-stamp")
        else:
            self.answer = Answer(kind, found.ttl)

    def _fits_stamps(self, segment: bytes) -> bool:
        stamp = _time_stamp(segment)
        if stamp is None or self._stamps is None or stamp[1] == 0:
            return True
        first, last = self._stamps
        return (stamp[1] - first) % _MODULUS <= (last - first) % _MODULUS + _AHEAD

    def _told(self, found: frames.Packet, about: frames.Quoted, frame: packet.Frame) -> None:
        quoted = about.packet
        if quoted.destination != self._address or frames.ports(quoted) != (self._own, self._port):
            return
        family = 6 if ":" in self._address else 4
        error = IcmpError(family, about.type, about.code, found.source, about.info)
        if error.meaning is IcmpMeaning.TOO_BIG:
            return
        if not frame.intact:
            self._put_aside("icmp", found, "checksum")
        elif self._first is None or quoted.payload[4:8] != self._first.to_bytes(4, "big"):
            self._put_aside("icmp", found, "number")
        else:
            if found.source not in self.refusers and len(self.refusers) < _MOST_SENDERS:
                self.refusers.append(found.source)
            if self.answer is None:
                self.answer = Answer("icmp", found.ttl, error)

    def _put_aside(self, kind: str, found: frames.Packet, why: UnfittingReason) -> None:
        key = (kind, found.source, why)
        known = self._unfitting.get(key)
        if known is not None:
            self._unfitting[key] = msgspec.structs.replace(known, count=known.count + 1)
        elif len(self._unfitting) < _MOST_KINDS:
            self._unfitting[key] = Unfitting(kind, found.source, why, 1, found.ttl)


def _kind(flags: int) -> str | None:
    if flags & frames.RST:
        return "reset"
    if flags & frames.ACK:
        return "syn-ack" if flags & frames.SYN else "ack"
    return None


def _time_stamp(segment: bytes) -> tuple[int, int] | None:
    """Return value and echo of a segment's time stamp option, ``None`` where it has none (RFC 7323, 3.2)."""
    end = min(len(segment), (segment[12] >> 4) * 4) if len(segment) > 12 else 0
    at = _TCP.size
    while at + 1 < end and segment[at] != 0:
        if segment[at] == 1:
            at += 1
            continue
        size = segment[at + 1]
        if segment[at] == _TIME_STAMPS and size == 10 and at + 10 <= end:
            value, echo = struct.unpack_from("!II", segment, at + 2)
            return value, echo
        if size < 2:
            return None
        at += size
    return None
