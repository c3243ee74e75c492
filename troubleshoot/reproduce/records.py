"""What a reproduction leaves: the calls made and what each returned, held against the catalogue's claim."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from troubleshoot.reproduce.claims import Claim


class Call(msgspec.Struct, frozen=True):
    """One call into the C library: ``function``, its arguments as text, and what came of it.

    ``returned`` is the value as text (``-1`` where it failed) and ``errno`` the name of the error, ``None``
    where there was none. ``times`` counts the same call made again and again.
    """

    function: str
    arguments: str
    returned: str
    errno: str | None = None
    times: int = 1


class Reproduction(msgspec.Struct, frozen=True):
    """One claim, tried on this machine.

    ``calls`` are all calls in order; the last one is the one that the claim is about, and ``observed`` its error
    (``OK`` where it succeeded, ``None`` where it was never made). ``matches`` tells whether that is
    what the claim says, ``shows_code`` whether it is the twin of ``code``, and ``same_as_winsock`` whether it is
    the twin of what Winsock has for this situation. ``remark`` says why it could not be tried, or what the claim
    notes. ``isolated`` tells whether it ran in a network namespace of its own. ``system`` is ``linux`` or ``windows``:
    there ``observed`` is Winsock's own name of the error, and the claim about Winsock is what it is held to.
    """

    code: str
    claim: Claim
    calls: tuple[Call, ...]
    observed: str | None
    expected_winsock: str | None
    matches: bool
    shows_code: bool
    same_as_winsock: bool
    remark: str
    isolated: bool
    system: str = "linux"


class Trace(msgspec.Struct, frozen=True):
    """What the child hands back: the calls, and ``reason`` where the machine does not let it go on."""

    calls: tuple[Call, ...]
    reason: str | None
    isolated: bool


def plain(reproductions: Iterable[Reproduction]) -> list[dict[str, Any]]:
    """Return the records as plain data, for JSON."""
    return [msgspec.to_builtins(one, enc_hook=Claim.plain) for one in reproductions]
