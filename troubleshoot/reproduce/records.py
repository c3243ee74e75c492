"""What a reproduction leaves: the calls made and what each returned, held against the catalogue's claim."""

from __future__ import annotations

import msgspec

#: What ``observed`` and a claim's ``errno`` say where the call succeeds.
SUCCESS = "OK"


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


class Claim(msgspec.Struct, frozen=True):
    """One claim of the catalogue (``reproduce.toml``): ``function`` called in ``state`` ends in ``errno`` on Linux.

    ``winsock`` is the code that Winsock has for this situation, ``None`` where it does not know the situation or
    sees nothing wrong with it; ``errno`` is :data:`SUCCESS` where Linux sees nothing wrong. ``note`` says what
    differs and why, ``source`` who says so.
    """

    id: str
    code: str
    function: str
    state: str
    errno: str
    winsock: str | None
    note: str = ""
    source: str = ""


class Reproducible(msgspec.Struct, frozen=True):
    """What can be made to happen of a code: its claims, or why there are none (``None``: nothing is known)."""

    claims: tuple[Claim, ...] = ()
    impossible: str | None = None


class Reproduction(msgspec.Struct, frozen=True):
    """One claim, tried on this machine.

    ``calls`` are all calls in order; the last one is the one that the claim is about, and ``observed`` its error
    (:data:`SUCCESS` where it succeeded, ``None`` where it was never made). ``matches`` tells whether that is
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
