"""The TTL with which packets of one connection arrive: the service's own, and a reset's (packet(7), RFC 9293)."""

from __future__ import annotations

import contextlib
import socket

from probes.base import Context, NotPermitted
from probes.system.linux import frames, packet, rtnetlink
from probes.system.linux.constants import ETH_P_ALL
from probes.system.literal import literal


class TtlWatch:
    """Watches from before the first packet on. ``opened`` gets a port of its own, so that it is known which.

    Raises :class:`NotPermitted` without CAP_NET_RAW, ``OSError`` where there is no way to ``address``.
    """

    def __init__(self, context: Context, opened: socket.socket, address: str, port: int) -> None:
        asked = literal(address)
        links = {link.index: link for link in rtnetlink.links(context)}
        index = asked.interface({number: link.name for number, link in links.items()})
        route = rtnetlink.route_to(context, asked.text, interface=index)
        opened.bind(("", 0))
        self._ends = (port, int(opened.getsockname()[1]))
        self._address = asked.text
        name = links[route.interface or 0].name
        self._wire = packet.open_packet_socket(context, name, ETH_P_ALL, packet.about_port(asked.family, self._ends[1]))

    def read(self) -> tuple[int | None, int | None]:
        """Return the TTL of the service's first packet that is no reset, and of the first reset; ``None`` for none."""
        answer = reset = None
        with contextlib.suppress(OSError):  # the interface went away
            while (frame := packet.receive(self._wire)) is not None:
                found = frames.read(frame.data)
                if found is None or frame.outgoing or not frame.intact or frames.ports(found) != self._ends:
                    continue
                if found.source != self._address:
                    continue
                if frames.tcp_flags(found) & frames.RST:
                    reset = found.ttl if reset is None else reset
                elif answer is None:
                    answer = found.ttl
        return answer, reset

    def close(self) -> None:
        """Stop watching."""
        self._wire.close()


def watch(context: Context, opened: socket.socket, address: str, port: int) -> TtlWatch | None:
    """Return a watch over a connection that is about to be made, ``None`` where that is not possible here."""
    try:
        return TtlWatch(context, opened, address, port)
    except (NotPermitted, OSError, KeyError):
        return None
