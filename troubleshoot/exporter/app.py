"""The ASGI application: ``/probe?target=…&code=…&module=…``, ``/metrics``, and a page that says so.

Source: ASGI 3.0, HTTP connection scope.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final
from urllib.parse import parse_qs

from probes.base import Budget, Context
from troubleshoot.errors import UserError
from troubleshoot.exporter.allowed import Allowed
from troubleshoot.exporter.metrics import Own, encoded, of_probe
from troubleshoot.exporter.probing import MODULES, Asked, Found, asked, deadline_s, probe
from troubleshoot.knowledge.catalogue import Catalogue
from troubleshoot.knowledge.text import Refusal, say

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_TIMEOUT_HEADER: Final = b"x-prometheus-scrape-timeout-seconds"
_PARAMETERS: Final = frozenset({"target", "code", "module"})
_PAGE: Final = b"wsadiag exporter\n\n/probe?target=HOST:PORT&code=CODE&module=%s\n/metrics\n"
#: So many requests wait for a place for each that is under way.
_WAITING: Final = 4
#: What all probes share: sockets, and packets a second.
_SOCKETS: Final = 256
_PACKETS_PER_S: Final = 500.0


class TurnedAwayError(Exception):
    """A request that is not probed: ``status`` of HTTP, ``reason`` for the counts, and what is to be said."""

    def __init__(self, status: int, reason: str, why: UserError) -> None:
        super().__init__(reason)
        self.status, self.reason, self.why = status, reason, why


class Exporter:
    """The application; ``most_s`` bounds a probe in seconds, ``at_once`` how many run at the same time."""

    def __init__(
        self,
        allowed: Allowed,
        catalogue: Catalogue,
        wording: Mapping[str, str],
        *,
        most_s: float,
        at_once: int,
    ) -> None:
        self._allowed = allowed
        self._catalogue = catalogue
        self._wording = wording
        self._most_s = most_s
        self._places = asyncio.Semaphore(at_once)
        self._waiting, self._most_waiting = 0, at_once * (1 + _WAITING)
        self._own = Own()
        self._running: dict[tuple[str, str, str | None], asyncio.Task[Found]] = {}
        self._context = Context(budget=Budget(sockets=_SOCKETS, packets_per_s=_PACKETS_PER_S))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; others than those of HTTP are not for us."""
        del receive
        if scope["type"] != "http":
            return
        status, body, kind = await self._answer(scope)
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
        headers += [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _answer(self, scope: Scope) -> tuple[int, bytes, str]:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        plain = "text/plain; charset=utf-8"
        if scope["method"] not in ("GET", "HEAD"):
            return 405, b"GET\n", plain
        accept = headers.get(b"accept", b"").decode("latin-1")
        match scope["path"]:
            case "/metrics":
                return 200, *encoded(self._own.registry, accept)
            case "/":
                return 200, _PAGE % "|".join(MODULES).encode(), plain
            case "/probe":
                pass
            case _:
                return 404, b"/probe, /metrics\n", plain
        try:
            found = await self._probed(scope["query_string"], headers.get(_TIMEOUT_HEADER))
        except TurnedAwayError as error:
            self._own.turned_away.labels(error.reason).inc()
            said = say(error.why, self._wording) if isinstance(error.why, Refusal) else str(error.why)
            return error.status, f"{said}\n".encode(), plain
        return 200, *encoded(of_probe(found), accept)

    async def _probed(self, query: bytes, timeout: bytes | None) -> Found:
        until_s = time.monotonic() + deadline_s((timeout or b"").decode("latin-1") or None, self._most_s)
        what = self._asked(query)
        key = what.target.input, what.module, what.code
        running = self._running.get(key)
        if running is None:
            # Who asks for the same meanwhile gets the same: two servers of Prometheus are one probe.
            running = self._running[key] = asyncio.create_task(self._in_its_place(what, until_s))
            running.add_done_callback(lambda _: self._running.pop(key, None))
        try:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + until_s - time.monotonic() + 0.2):
                return await asyncio.shield(running)
        except TimeoutError:
            raise TurnedAwayError(503, "busy", Refusal("usage.exporter-busy")) from None

    async def _in_its_place(self, what: Asked, until_s: float) -> Found:
        if self._waiting >= self._most_waiting:
            raise TurnedAwayError(503, "busy", Refusal("usage.exporter-busy"))
        self._waiting += 1
        try:
            async with asyncio.timeout(until_s - time.monotonic()):
                await self._places.acquire()
        except TimeoutError:
            raise TurnedAwayError(503, "busy", Refusal("usage.exporter-busy")) from None
        finally:
            self._waiting -= 1
        try:
            with self._own.running.track_inprogress():
                found = await probe(what, until_s, self._context)
        finally:
            self._places.release()
        self._own.count(what.module, found)
        return found

    def _asked(self, query: bytes) -> Asked:
        """Read and refuse, in this order: what means nothing, and what is not allowed."""
        try:
            values = parse_qs(
                query.decode("ascii"), strict_parsing=True, max_num_fields=len(_PARAMETERS), errors="strict"
            )
        except ValueError:
            values = {}
        if not {"target"} <= values.keys() <= _PARAMETERS or any(len(each) != 1 for each in values.values()):
            raise TurnedAwayError(400, "bad-request", Refusal("usage.exporter-query"))
        module = values.get("module", ["connect"])[0]
        if module not in MODULES:
            raise TurnedAwayError(400, "bad-request", Refusal("usage.exporter-module", known=", ".join(MODULES)))
        try:
            what = asked(values["target"][0], module, values.get("code", [None])[0], self._catalogue)
        except UserError as error:
            raise TurnedAwayError(400, "bad-request", error) from None
        match self._allowed.why_not(what.target):
            case "not-allowed":
                raise TurnedAwayError(403, "not-allowed", Refusal("usage.exporter-not-allowed"))
            case "too-many":
                raise TurnedAwayError(429, "too-many", Refusal("usage.exporter-too-many"))
        return what
