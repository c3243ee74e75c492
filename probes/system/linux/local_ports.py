"""The local ports from which the kernel picks one for an outgoing connection.

Sources: ip(7), ``ip_local_port_range`` and ``ip_local_reserved_ports`` in the kernel's ip-sysctl documentation.
"""

from __future__ import annotations

import msgspec

from probes.base import Context

_FOLDER = "/proc/sys/net/ipv4"


class LocalPorts(msgspec.Struct, frozen=True):
    """``first`` to ``last`` are picked from, but for the ``reserved`` ones, which only bind() with a number takes."""

    first: int
    last: int
    reserved: tuple[range, ...] = ()

    def is_reserved(self, port: int) -> bool:
        """Whether the kernel never picks ``port`` by itself although it may lie in the range."""
        return any(port in ports for ports in self.reserved)

    def __contains__(self, port: int) -> bool:
        return self.first <= port <= self.last and not self.is_reserved(port)

    @property
    def kept_back(self) -> int:
        """How many ports of the range are reserved."""
        kept = set().union(*(range(max(p.start, self.first), min(p.stop, self.last + 1)) for p in self.reserved))
        return len(kept)


def read(context: Context) -> LocalPorts | None:
    """Return the ports of the caller's network namespace; ``None`` where they cannot be read."""
    try:
        first, last = (int(word) for word in context.read_text(f"{_FOLDER}/ip_local_port_range").split())
    except (OSError, ValueError):
        return None
    try:
        reserved = context.read_text(f"{_FOLDER}/ip_local_reserved_ports")
    except OSError:
        reserved = ""
    return LocalPorts(first, last, tuple(_ranges(reserved)))


def _ranges(text: str) -> list[range]:
    """Read ``8080,9000-9010``."""
    found = []
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if first.isdecimal():
            found.append(range(int(first), int(last if last.isdecimal() else first) + 1))
    return found
