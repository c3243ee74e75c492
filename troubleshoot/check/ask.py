"""The cheap questions about a failure: one echo to each host, one more connection to what refused.

They are asked of each host once, whatever its number of ports, and through the same probes as a diagnosis.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from typing import Final

from probes.base import CannotObserve, Context
from probes.ping import PingRequest, PingResult, observe
from probes.system import on_linux
from probes.system.endpoint import endpoint
from probes.system.linux.least_ttl import discarded, require_ttl
from troubleshoot.check.group import Hint
from troubleshoot.check.model import Attempt, Reading

#: How long an echo is waited for, seconds; a router's report of a dead host (3 s) is left to the diagnosis.
_ECHO_S: Final = 1.0
#: The second of two echoes follows the first after so long, seconds.
_ECHO_GAP_S: Final = 0.3
#: How long a refusal is waited for that may have been discarded: three round trips and this, seconds.
_MARGIN_S: Final = 0.15
#: Linux asks three times, a second apart, for a neighbour that is off, and then reports to all who waited; a router
#: that was asked later begins anew (RFC 4861, section 7.2.2; arp(7)). Seconds, with a margin to either side.
_SEARCH_S: Final = 2.8
_REPORTED_S: Final = 3.3
#: The readings of which a host's echo tells more.
_ASKED: Final = (Reading.REFUSED, Reading.SILENT)


class Questions:
    """Hints about failures. Answers about a host are kept for its other ports."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._hosts: dict[str, asyncio.Task[PingResult | None]] = {}
        self._packets: dict[str, tuple[float, float]] = {}
        self._hints: dict[int, asyncio.Task[Hint]] = {}

    async def hint(self, attempt: Attempt, port: int) -> Hint:
        """Return what there is to know about a failed attempt, which is asked once."""
        key = id(attempt)
        if key not in self._hints:
            self._hints[key] = asyncio.create_task(self._hint(attempt, port))
        return await asyncio.shield(self._hints[key])

    async def _hint(self, attempt: Attempt, port: int) -> Hint:
        address = attempt.address
        if address is None or attempt.reading not in _ASKED:
            return Hint()
        self._ask(address)
        found = await self._hosts[address]
        if found is None:
            return Hint()
        error = next((echo.icmp for echo in found.echoes if echo.icmp is not None), None)
        alive = found.received > 0
        nearer = None
        if attempt.reading is Reading.REFUSED and alive:
            nearer = await self._nearer(address, port, found)
        return Hint(alive, (error.meaning.value, error.sender or "") if error else None, nearer)

    def ended(self, attempt: Attempt, ended_s: float, *, alone: bool = False) -> None:
        """Take note of when a failed attempt ended, monotonic seconds; it is ``alone`` where none came before it."""
        address = attempt.address
        if address is not None and attempt.reading is Reading.SILENT:
            first_s = ended_s - (attempt.duration_ms / 1000 if alone else _SEARCH_S)
            self._packets[address] = (min(first_s, self._packets.get(address, (first_s, 0.0))[0]), ended_s)

    def _ask(self, address: str) -> None:
        if address not in self._hosts:
            self._hosts[address] = asyncio.create_task(self._echo(address))

    def reported_s(self, addresses: Iterable[str | None]) -> float:
        """Return when a router has reported all it will of these hosts, should they be off; monotonic seconds."""
        latest = 0.0
        for address in addresses:
            first_s, last_s = self._packets.get(address or "", (0.0, 0.0))
            last_s = last_s + _ECHO_GAP_S if last_s else 0.0
            latest = max(latest, (first_s if last_s < first_s + _SEARCH_S else last_s) + _REPORTED_S)
        return latest

    def end(self) -> None:
        """Stop asking."""
        for task in (*self._hosts.values(), *self._hints.values()):
            task.cancel()

    async def _echo(self, address: str) -> PingResult | None:
        request = PingRequest(address, count=2, interval_s=_ECHO_GAP_S, wait_s=_ECHO_S, silent_wait_s=_ECHO_S)
        try:
            return await observe(request, self._context, lambda _: None)
        except CannotObserve:
            return None

    async def _nearer(self, address: str, port: int, echoes: PingResult) -> bool | None:
        """Whether a refusal arrives with a higher TTL than the host's own echo replies."""
        ttl = next((echo.reply_ttl for echo in echoes.echoes if echo.reply_ttl is not None), None)
        if ttl is None or ttl >= 255 or not on_linux():
            return None
        try:
            target = endpoint(address, port)
        except CannotObserve:
            return None
        await self._context.sending()
        async with self._context.budget.slot():
            with socket.socket(target.family, socket.SOCK_STREAM) as opened:
                opened.setblocking(False)
                try:
                    require_ttl(opened, ttl + 1)
                except OSError:
                    return None
                wait_s = 3 * (echoes.rtt_max_ms or 0.0) / 1000 + _MARGIN_S
                try:
                    async with asyncio.timeout(wait_s):
                        await asyncio.get_running_loop().sock_connect(opened, target.sockaddr)
                except TimeoutError:
                    return False if discarded(opened) else None
                except OSError:
                    return True
                return None
