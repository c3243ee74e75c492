"""Capabilities that this process has and uses only while a call needs them.

What the network and other programs say is read without any in effect: :func:`using` raises them for the call that opens
a raw socket or looks into another user's process, and nothing else. They are a thread's own (capabilities(7)): a thread
starts with what the one has in effect that starts it. Where nothing was laid down, nothing is raised. Sources:
capabilities(7), capset(2).
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Iterable, Iterator


class Capability(enum.IntEnum):
    """Those that some probe has a use for, by their numbers in ``linux/capability.h``."""

    DAC_READ_SEARCH = 2
    NET_BIND_SERVICE = 10
    NET_ADMIN = 12
    NET_RAW = 13
    SYS_CHROOT = 18
    SYS_PTRACE = 19
    SYS_ADMIN = 21


#: What looking into processes of other users takes (proc(5)).
TO_LOOK = (Capability.SYS_PTRACE, Capability.DAC_READ_SEARCH)
_VERSION_3 = 0x20080522


class _Held:
    """Masks of this process: what it may put into effect, and what is in effect all the time."""

    permitted = 0
    always = 0


def mask(capabilities: Iterable[Capability]) -> int:
    """Return the set as the kernel writes it."""
    return sum(1 << capability for capability in capabilities)


def laid_down() -> int:
    """Return the capabilities, as a mask, that are not in effect and may be put into it."""
    return _Held.permitted & ~_Held.always


def lay_down(permitted: int, always: int = 0) -> None:
    """Keep ``permitted`` of this thread's capabilities for good, and only ``always`` of them in effect (masks)."""
    set_to(always, permitted)
    _Held.permitted, _Held.always = permitted, always


def set_to(effective: int, permitted: int, inherited: int = 0) -> None:
    """Set the three sets of this thread; what is not permitted now cannot be had again."""
    import ctypes  # noqa: PLC0415 - 3 ms that only runs with a network pay

    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    halves = ((effective, permitted, inherited), (effective >> 32, permitted >> 32, inherited >> 32))
    words = (ctypes.c_uint32 * 6)(*(word & 0xFFFFFFFF for half in halves for word in half))
    ctypes.CDLL(None).capset(ctypes.byref(header), ctypes.byref(words))


@contextlib.contextmanager
def using(*capabilities: Capability) -> Iterator[None]:
    """Have capabilities in effect for the calls inside, as far as they are held. Not to be nested, nor awaited in."""
    wanted = laid_down() & mask(capabilities)
    if not wanted:
        yield
        return
    set_to(_Held.always | wanted, _Held.permitted)
    try:
        yield
    finally:
        set_to(_Held.always, _Held.permitted)
