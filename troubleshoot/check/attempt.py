"""One attempt at a target: look the name up, connect, and see whether that is what was expected."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import time
from typing import Final

from probes.base import NotApplicable
from probes.system.dns.names import to_ascii
from probes.system.endpoint import Endpoint, endpoint
from probes.system.resolver import ResolverCrashedError
from troubleshoot.check.dial import Dialled, dial
from troubleshoot.check.model import Attempt, Check, Expectation, Reading
from troubleshoot.check.names import Names
from troubleshoot.check.patience import Patience
from troubleshoot.check.service import NO_ANSWER, Found, beyond
from troubleshoot.intake.target import Target

#: A look-up that takes longer than this has failed, seconds: what resolv.conf(5) gives the first server by default.
_LOOKUP_S: Final = 5.0
#: After a connection that did not open, so many other addresses of the name are tried.
_MOST_ADDRESSES: Final = 4
#: An answer is waited for so long where nothing is known of the network, seconds.
TIMEOUT_S: Final = 1.5
#: Who got to nothing for that long, and for that share of the time, was too busy to wait for an answer.
_STARVED_S: Final = 0.3
_STARVED_SHARE: Final = 0.2
#: After so long Linux sends a second SYN by itself (tcp(7), RFC 6298 section 2.1), milliseconds, with some room.
_SECOND_SYN_MS: Final = 1100.0


class _NoAddressError(Exception):
    """The name has none; ``args[0]`` is the resolver's symbolic name of the error."""


async def attempt(check: Check, names: Names, patience: Patience, family: int = 0) -> Attempt:
    """Try once whether the target is as expected; ``patience`` says how long an answer may take.

    Of a name with several addresses the first is decisive for what was met; the others are tried as a program would,
    and one of them that opens makes the connection open.
    """
    began = time.perf_counter()
    lost_s = patience.punctuality.lost_s
    try:
        addresses = await _addresses(check.target, names, family)
    except _NoAddressError as error:
        ms = (time.perf_counter() - began) * 1000
        said: Found = ("check.found-unresolved", {"error": str(error.args[0])})
        starved = _starved(patience, lost_s, ms / 1000) if error.args[0] == "EAI_AGAIN" else None
        return Attempt(
            reading=Reading.UNRESOLVED,
            duration_ms=ms,
            met=False,
            error=str(error.args[0]),
            found=starved or said,
            starved=starved is not None,
        )
    dialled, address = await _connect(check, addresses, patience)
    lost_s, since = patience.punctuality.lost_s, time.perf_counter()
    try:
        unmet = _unmet(check.expect, dialled, addresses)
        if unmet is None and dialled.opened is not None:
            unmet = await beyond(check, dialled.opened)
    finally:
        if dialled.opened is not None:
            _close(dialled.opened)
    waited_in_vain = unmet is not None and unmet[0] == NO_ANSWER
    starved = _starved(patience, lost_s, time.perf_counter() - since) if waited_in_vain else None
    return Attempt(
        reading=dialled.reading,
        duration_ms=(time.perf_counter() - began) * 1000,
        met=unmet is None,
        address=address,
        error=dialled.error,
        router=dialled.router,
        found=starved or unmet,
        starved=starved is not None,
    )


def _starved(patience: Patience, lost_before_s: float, seconds: float) -> Found | None:
    """Return what is to be said where this machine did not get to look for much of these seconds."""
    lost_s = min(seconds, patience.punctuality.lost_until_now_s() - lost_before_s)
    if lost_s < max(_STARVED_S, _STARVED_SHARE * seconds):
        return None
    return "reason.starved", {"lost": f"{lost_s:.1f}", "seconds": f"{seconds:.1f}"}


async def _addresses(target: Target, names: Names, family: int) -> list[Endpoint]:
    port = target.port or 0
    if target.host is None:
        return [endpoint("127.0.0.1", port)]
    try:
        if target.literal:
            return [endpoint(target.host, port)]
        asked = names.addresses_of(to_ascii(target.host), family)
        async with asyncio.timeout(_LOOKUP_S):
            found = await asked
        return [endpoint(address, port) for address in found[:_MOST_ADDRESSES]]
    except socket.gaierror as error:
        raise _NoAddressError(_eai(error.errno)) from None
    except TimeoutError:
        raise _NoAddressError("EAI_AGAIN") from None
    except (OSError, ResolverCrashedError, NotApplicable) as error:
        raise _NoAddressError("EAI_SYSTEM" if isinstance(error, OSError) else "EAI_FAIL") from None


def _eai(number: int | None) -> str:
    names = (name for name in dir(socket) if name.startswith("EAI_") and getattr(socket, name) == number)
    return next(names, "EAI_NODATA" if number == -5 else "EAI_FAIL")  # glibc's, which the module lacks


async def _connect(check: Check, addresses: list[Endpoint], patience: Patience) -> tuple[Dialled, str | None]:
    """Try the addresses in turn; the first one's failure is told where none opens."""
    first: Dialled | None = None
    for each in addresses:
        dialled = await _dialled(each, check, patience)
        if dialled.reading is Reading.OPEN:
            return dialled, each.text
        first = first or dialled
        if check.expect.connection != "open":
            break
    if first is None:
        return Dialled(Reading.UNRESOLVED, 0.0, "EAI_NODATA"), None
    return first, addresses[0].text


async def _dialled(aim: Endpoint, check: Check, patience: Patience) -> Dialled:
    """Connect to one address; silence that came before the kernel's own second SYN is asked once more."""
    if check.timeout_s is not None:
        return await dial(aim, check.timeout_s)
    dialled = await dial(aim, lambda: patience.limit_s(aim.text, TIMEOUT_S))
    if dialled.reading is Reading.SILENT and dialled.duration_ms < _SECOND_SYN_MS:
        dialled = await dial(aim, lambda: patience.limit_s(aim.text, TIMEOUT_S))
    if dialled.reading in (Reading.OPEN, Reading.REFUSED):
        patience.learn(aim.text, dialled.duration_ms / 1000)
    return dialled


def _unmet(expect: Expectation, dialled: Dialled, addresses: list[Endpoint]) -> tuple[str, dict[str, str]] | None:
    """Return what was found instead of what was expected, ``None`` where that was met."""
    if expect.addresses:
        wanted = {str(ipaddress.ip_address(address)) for address in expect.addresses}
        found = [each.text for each in addresses]
        if set(found) != wanted:
            return "check.found-addresses", {"addresses": ", ".join(found)}
    reading = dialled.reading
    met = {
        "open": reading is Reading.OPEN,
        "refused": reading is Reading.REFUSED,
        "unreachable": reading in (Reading.REJECTED, Reading.SILENT),
    }[expect.connection]
    if met:
        return None
    values = {"error": dialled.error or ""}
    if reading is Reading.REJECTED and dialled.router:
        return "check.found-rejected-by", {**values, "router": dialled.router}
    return f"check.found-{reading}", values


def _close(opened: socket.socket) -> None:
    with contextlib.suppress(OSError):
        opened.close()
