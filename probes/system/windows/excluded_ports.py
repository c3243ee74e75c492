"""The port ranges that Windows keeps back, as ``netsh`` shows them: no other documented source tells them.

Ranges that Hyper-V, WSL and container software reserve at every start are refused to bind() with WSAEACCES. Those
marked ``*`` were excluded by an administrator: Windows never picks such a port by itself, and a program that names
it may have it. Source: Microsoft: netsh interface ipv4 show excludedportrange, CreatePersistentTcpPortReservation.
"""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Final

import msgspec

from probes.base import Note, note

#: What a busy machine may need to start it, seconds.
_PATIENCE_S: Final = 3.0
_MOST_BYTES: Final = 1 << 18
#: Two numbers and perhaps a star: the words around them are in Windows' own language, and in its own code page.
_RANGE: Final = rb"[ \t]*([0-9]{1,5})[ \t]+([0-9]{1,5})[ \t]*(\*?)[ \t]*"
_RULE: Final = rb"[ \t]*-{4,}[ \t]+-{4,}[ \t]*"


class PortRange(msgspec.Struct, frozen=True):
    """Ports ``first`` to ``last``; ``administered`` where an administrator excluded them."""

    first: int
    last: int
    administered: bool = False


class ExcludedPorts(msgspec.Struct, frozen=True):
    """``ranges`` of one transport and family, ``None`` with a ``reason`` where they could not be read."""

    ranges: tuple[PortRange, ...] | None
    reason: Note | None = None

    def holding(self, port: int) -> PortRange | None:
        """Return the range that ``port`` lies in; one that refuses it goes before one that does not."""
        found = [one for one in self.ranges or () if one.first <= port <= one.last]
        return min(found, key=lambda one: one.administered, default=None)


def parse(output: bytes) -> tuple[PortRange, ...] | None:
    """Return the ranges in what netsh printed, in any language; ``None`` where there is no table at all."""
    lines = output[:_MOST_BYTES].splitlines()
    start = next((number for number, line in enumerate(lines) if re.fullmatch(_RULE, line)), None)
    if start is None:
        return None
    found = []
    for line in lines[start + 1 :]:
        match = re.fullmatch(_RANGE, line)
        if match is None:
            continue
        first, last = int(match[1]), int(match[2])
        if first <= last <= 0xFFFF:
            found.append(PortRange(first, last, bool(match[3])))
    return tuple(found)


def read(transport: str, version: int) -> ExcludedPorts | None:
    """Ask netsh for the ranges of ``tcp`` or ``udp`` over IP ``version``; ``None`` on another system.

    Needs no privilege; blocks for some tenths of a second.
    """
    if sys.platform != "win32":
        return None
    from probes.system.windows.winsock import system_folder  # noqa: PLC0415

    words = ["interface", f"ipv{version}", "show", "excludedportrange", f"protocol={transport}"]
    try:
        done = subprocess.run(
            [system_folder() + r"\netsh.exe", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE_S,
            check=False,
            creationflags=subprocess.CREATE_NO_WINDOW,
        )
    except subprocess.TimeoutExpired:
        return ExcludedPorts(None, note("reason.netsh-late", seconds=f"{_PATIENCE_S:.0f}"))
    except OSError:
        return ExcludedPorts(None, note("reason.netsh-missing"))
    ranges = parse(done.stdout)
    return ExcludedPorts(ranges, None if ranges is not None else note("reason.netsh-silent"))
