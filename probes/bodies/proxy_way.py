"""A conversation with a proxy up to its yes or no. Types, sources and bounds: :mod:`probes.proxy_way`."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import re
import socket
import sys
from collections.abc import Callable

from msgspec.structs import replace

from probes.base import Context, NotApplicable
from probes.failure import Failure, classify, errno_name, number_of
from probes.proxy_way import MOST_ADDRESSES, ProxyOutcome, ProxyWayRequest, ProxyWayResult, Refusal
from probes.system import proxy_rules, resolver
from probes.system.dns import names
from probes.system.endpoint import endpoint
from probes.system.proxies import environment_of

_LONGEST_HEAD = 16384
#: So long may a proxy take for an answer about itself, seconds.
_ITSELF_S = 1.5
_KEPT = 120
#: RFC 1928, section 6, by what the code is about.
_SOCKS5 = {
    1: (Refusal.TARGET, "general SOCKS server failure"),
    2: (Refusal.POLICY, "connection not allowed by ruleset"),
    3: (Refusal.TARGET_SILENT, "network unreachable"),
    4: (Refusal.TARGET_SILENT, "host unreachable"),
    5: (Refusal.TARGET_REFUSED, "connection refused"),
    6: (Refusal.TARGET_SILENT, "TTL expired"),
    7: (Refusal.UNSUPPORTED, "command not supported"),
    8: (Refusal.UNSUPPORTED, "address type not supported"),
}
_SOCKS4 = {
    91: (Refusal.TARGET, "request rejected or failed"),
    92: (Refusal.LOGIN, "no identd on the client"),
    93: (Refusal.LOGIN, "identd reports another user"),
}
#: Headers by which a proxy marks an answer as its own (RFC 9209, RFC 9110 section 11.7.1, Squid).
_OWN_HEADERS = ("x-squid-error", "proxy-status", "proxy-authenticate", "x-proxy-error")
_GATEWAY = {502: Refusal.TARGET, 503: Refusal.TARGET, 504: Refusal.TARGET_SILENT}


class _Ended(Exception):  # noqa: N818 - it is an outcome, not a failure
    """The proxy has closed the connection."""


class _Line:
    """A connection to the proxy."""

    def __init__(self, opened: socket.socket, context: Context, wait_s: float) -> None:
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter
        self._opened = opened
        self._context = context
        self._wait_s = wait_s
        #: Whether the other side has said already that it is such a proxy, and takes us.
        self.agreed = False

    async def begin(self, tls_name: str | None) -> None:
        """Begin to speak, within a TLS session where the proxy wants one; the certificate must be trusted."""
        settings = None
        if tls_name is not None:
            import ssl  # noqa: PLC0415

            settings = ssl.create_default_context()
        self._reader, self._writer = await asyncio.wait_for(
            asyncio.open_connection(sock=self._opened, ssl=settings, server_hostname=tls_name, limit=_LONGEST_HEAD),
            self._wait_s,
        )

    async def say(self, data: bytes) -> None:
        await self._context.sending()
        self._writer.write(data)
        await self._writer.drain()

    async def exactly(self, count: int) -> bytes:
        """Return the next ``count`` bytes; raises :class:`_Ended`, ``OSError`` and ``TimeoutError``."""
        try:
            return await asyncio.wait_for(self._reader.readexactly(count), self._wait_s)
        except asyncio.IncompleteReadError as error:
            if error.partial:
                return error.partial
            raise _Ended from error

    async def head(self) -> bytes:
        """Return an answer's lines up to the empty one, or as much as came; raises as :meth:`exactly` does."""
        got = b""
        async with asyncio.timeout(self._wait_s):
            while b"\r\n\r\n" not in got and b"\n\n" not in got and len(got) < _LONGEST_HEAD:
                data = await self._reader.read(4096)
                if not data:
                    break
                got += data
                if not got.startswith(b"HTTP/"[: len(got)]):
                    break
        if not got:
            raise _Ended
        return got

    def close(self) -> None:
        if hasattr(self, "_writer"):
            self._writer.close()
        self._opened.close()


async def observe(
    request: ProxyWayRequest, context: Context, progress: Callable[[ProxyWayResult], None]
) -> ProxyWayResult:
    """Ask the proxy for the way. Raises :class:`NotApplicable` where the environment names none that is usable."""
    environment = environment_of(request.pid, context)
    way = proxy_rules.RULES[request.program](environment, request.scheme, request.host, request.port)
    server = proxy_rules.read(way.value) if way.variable is not None else None
    if server is None or server.kind not in proxy_rules.KINDS:
        raise NotApplicable("reason.no-proxy")
    port = server.port_for(request.program)
    if names.literal(request.ask.partition("%")[0]) is None:
        request = replace(request, ask=names.to_ascii(request.ask))
    base = ProxyWayResult(ProxyOutcome.SILENT, request.ask, server.kind, login=server.user is not None)
    addresses = await _addresses(server.host, request.wait_s, context)
    if not addresses:
        return replace(base, outcome=ProxyOutcome.UNRESOLVED)
    async with context.budget.slot():
        for address in addresses:
            result, opened = await _connect(base, address, port, context, request.wait_s)
            if opened is not None:
                progress(result)
                answered = await _converse(result, opened, server, request, context)
                if answered.outcome is ProxyOutcome.SILENT and server.kind in ("http", "https"):
                    return await _while_it_waits(answered, address, port, server, context)
                return answered
        return result


async def _while_it_waits(
    silent: ProxyWayResult, address: str, port: int, server: proxy_rules.Server, context: Context
) -> ProxyWayResult:
    """Find out whether a proxy that is silent about the target is there at all: by a question about itself.

    Where it is, it waits for the target (RFC 9110, section 7.6.2: with ``Max-Forwards: 0`` it answers by itself).
    """
    _, opened = await _connect(silent, address, port, context, _ITSELF_S)
    if opened is None:
        return silent
    line = _Line(opened, context, _ITSELF_S)
    try:
        await line.begin(server.host if server.kind == "https" else None)
        await line.say(b"OPTIONS * HTTP/1.1\r\nHost: proxy\r\nMax-Forwards: 0\r\nConnection: close\r\n\r\n")
        head = await line.head()
    except (_Ended, OSError):  # a TimeoutError and one of TLS as well
        return silent
    finally:
        line.close()
    return _waiting(silent) if head.startswith(b"HTTP/") else silent


def _waiting(silent: ProxyWayResult) -> ProxyWayResult:
    return replace(silent, outcome=ProxyOutcome.REFUSES, refusal=Refusal.TARGET_SILENT, reason="no answer yet")


async def _addresses(host: str, wait_s: float, context: Context) -> tuple[str, ...]:
    literal = names.literal(host.partition("%")[0])
    if literal is not None:
        return (host,)
    try:
        async with asyncio.timeout(2 * wait_s):
            found = await resolver.addresses_of(names.to_ascii(host), socket.AF_UNSPEC, context)
    except (OSError, TimeoutError, NotApplicable, resolver.ResolverCrashedError):
        return ()
    return found[:MOST_ADDRESSES]


async def _connect(
    base: ProxyWayResult, address: str, port: int, context: Context, wait_s: float
) -> tuple[ProxyWayResult, socket.socket | None]:
    """Connect to one address of the proxy: the result so far, and the socket where that worked."""
    target = endpoint(address, port)
    loop = asyncio.get_running_loop()
    await context.sending()
    opened = context.socket(target.family, socket.SOCK_STREAM)
    started_s = loop.time()
    try:
        await asyncio.wait_for(loop.sock_connect(opened, target.sockaddr), wait_s)
    except (OSError, TimeoutError) as error:
        opened.close()
        number = 0 if isinstance(error, TimeoutError) and not error.errno else number_of(error)
        failed = replace(
            base,
            outcome=ProxyOutcome.UNREACHABLE,
            address=address,
            failure=classify(number) if number else Failure.NO_ANSWER,
            errno=errno_name(number) if number else None,
        )
        return failed, None
    except BaseException:
        opened.close()
        raise
    return replace(base, address=address, connect_ms=(loop.time() - started_s) * 1000), opened


async def _converse(
    so_far: ProxyWayResult,
    opened: socket.socket,
    server: proxy_rules.Server,
    request: ProxyWayRequest,
    context: Context,
) -> ProxyWayResult:
    import ssl  # noqa: PLC0415

    line, loop = _Line(opened, context, request.wait_s), asyncio.get_running_loop()
    began_s = loop.time()
    try:
        await line.begin(server.host if server.kind == "https" else None)
        if server.kind in ("http", "https"):
            answered = await _by_http(so_far, line, server, request)
        elif server.kind in ("socks5", "socks5h"):
            answered = await _by_socks5(so_far, line, server, request)
        else:
            answered = await _by_socks4(so_far, line, server, request)
    except ssl.SSLError as error:
        words = str(getattr(error, "verify_message", "") or error.reason or "TLS")
        answered = replace(so_far, outcome=ProxyOutcome.OTHER, reason=_words(words))
    except TimeoutError:
        return _waiting(so_far) if line.agreed else so_far
    except (_Ended, OSError):
        answered = replace(so_far, outcome=ProxyOutcome.CLOSES)
    finally:
        line.close()
    # What says back whatever it hears says our login, too.
    reason = answered.reason if context.show_secrets else context.masked(answered.reason)
    return replace(answered, reason=reason, answer_ms=(loop.time() - began_s) * 1000)


# -- HTTP --------------------------------------------------------------------------------------------------------


async def _by_http(
    so_far: ProxyWayResult, line: _Line, server: proxy_rules.Server, request: ProxyWayRequest
) -> ProxyWayResult:
    tunnel = request.scheme != "http"
    host = f"[{request.ask}]" if ":" in request.ask else request.ask
    where = f"{host}:{request.port}"
    shown = where if tunnel or request.port != 80 else host
    first = f"CONNECT {where} HTTP/1.1" if tunnel else f"GET http://{shown}/ HTTP/1.1"
    lines = [first, f"Host: {shown}", "User-Agent: wsadiag", "Accept: */*"]
    if not tunnel:
        lines.append("Connection: close")
    if server.user is not None:
        word = base64.b64encode(_as_set(f"{server.user}:{server.password}")).decode("ascii")
        lines.append(f"Proxy-Authorization: Basic {word}")
    await line.say("\r\n".join([*lines, "", ""]).encode("utf-8", "replace"))
    head = await line.head()
    return _read_http(replace(so_far, tunnel=tunnel), head)


def _read_http(so_far: ProxyWayResult, head: bytes) -> ProxyWayResult:
    """Read the answer's head."""
    lines = head.decode("latin-1").split("\r\n\r\n")[0].splitlines()
    words = lines[0].split(None, 2) if lines else []
    found = re.fullmatch(r"[0-9]{1,3}", words[1]) if len(words) > 1 and words[0].startswith("HTTP/") else None
    if found is None:
        return replace(so_far, outcome=ProxyOutcome.OTHER, reason=_words(head[:_KEPT].decode("latin-1")))
    headers = [(name.strip().lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines[1:])]
    own = any(name in _OWN_HEADERS for name, _ in headers)
    status = int(found[0])
    said = replace(
        so_far, outcome=ProxyOutcome.PASSES, status=status, reason=_words(words[2] if len(words) > 2 else "")
    )
    detail = next((value for name, value in headers if name in ("x-squid-error", "proxy-status")), "")
    if detail:
        said = replace(said, reason=_words(f"{said.reason}: {detail}".removeprefix(": ")))
    if status == 407:
        offered = (value.partition(" ")[0] for name, value in headers if name == "proxy-authenticate")
        schemes = tuple(dict.fromkeys(_words(word) for word in offered))[:6]
        return replace(said, outcome=ProxyOutcome.REFUSES, refusal=Refusal.LOGIN, schemes=schemes)
    # Without CONNECT an answer may be the target's own: only what is marked, or a gateway's, is taken for the proxy's.
    refused = not 200 <= status < 300 if so_far.tunnel else status in _GATEWAY or (own and status >= 400)
    if not refused:
        return said
    refusal = _GATEWAY.get(status, Refusal.POLICY if status < 500 else Refusal.BROKEN)
    refusal = _squid(detail) or refusal
    return replace(said, outcome=ProxyOutcome.REFUSES, refusal=refusal)


def _squid(detail: str) -> Refusal | None:
    """What Squid's own word of an error, or one of RFC 9209, is about."""
    low = detail.lower()
    for signs, refusal in (
        (("err_dns_fail", "dns_error", "dns_timeout"), Refusal.TARGET_NAME),
        (("err_access_denied", "http_request_denied"), Refusal.POLICY),
        (("connection_refused",), Refusal.TARGET_REFUSED),
        (("connection_timeout", "destination_ip_unroutable"), Refusal.TARGET_SILENT),
        (("err_connect_fail",), Refusal.TARGET),
    ):
        if any(sign in low for sign in signs):
            return refusal
    return None


# -- SOCKS -------------------------------------------------------------------------------------------------------


def _destination(ask: str) -> bytes:
    """Return a host as SOCKS 5 writes it: kind and address, or a length and a name (RFC 1928, section 5)."""
    try:
        address = ipaddress.ip_address(ask.partition("%")[0])
    except ValueError:
        name = ask.encode("ascii", "replace")[:255]
        return b"\x03" + bytes([len(name)]) + name
    return (b"\x01" if address.version == 4 else b"\x04") + address.packed


async def _by_socks5(
    so_far: ProxyWayResult, line: _Line, server: proxy_rules.Server, request: ProxyWayRequest
) -> ProxyWayResult:
    await line.say(b"\x05\x02\x00\x02" if server.user is not None else b"\x05\x01\x00")
    chosen = await line.exactly(2)
    if len(chosen) < 2 or chosen[0] != 5:
        return replace(so_far, outcome=ProxyOutcome.OTHER, reason=_words(chosen.decode("latin-1")))
    refused = replace(so_far, outcome=ProxyOutcome.REFUSES)
    if chosen[1] == 2 and server.user is not None:
        user, password = _as_set(server.user)[:255], _as_set(server.password)[:255]
        await line.say(bytes([1, len(user)]) + user + bytes([len(password)]) + password)
        verdict = await line.exactly(2)
        if verdict[-1] != 0:
            return replace(refused, refusal=Refusal.LOGIN, status=verdict[-1], schemes=("username/password",))
    elif chosen[1] != 0:
        named = ("username/password",) if chosen[1] == 2 else ()
        return replace(refused, refusal=Refusal.LOGIN, status=chosen[1], schemes=named)
    line.agreed = True
    await line.say(b"\x05\x01\x00" + _destination(request.ask) + request.port.to_bytes(2, "big"))
    reply = await line.exactly(4)
    if len(reply) < 2 or reply[0] != 5:
        return replace(so_far, outcome=ProxyOutcome.OTHER, reason=_words(reply.decode("latin-1")))
    if reply[1] == 0:
        return replace(so_far, outcome=ProxyOutcome.PASSES, status=0)
    refusal, reason = _SOCKS5.get(reply[1], (Refusal.BROKEN, "unassigned"))
    return replace(refused, refusal=refusal, status=reply[1], reason=reason)


async def _by_socks4(
    so_far: ProxyWayResult, line: _Line, server: proxy_rules.Server, request: ProxyWayRequest
) -> ProxyWayResult:
    name = b""
    try:
        address = ipaddress.IPv4Address(request.ask).packed
    except ValueError:
        if ":" in request.ask:
            raise NotApplicable("reason.no-proxy") from None  # SOCKS 4 knows IPv4 alone
        address, name = b"\0\0\0\x01", request.ask.encode("ascii", "replace") + b"\0"  # SOCKS 4a
    user = _as_set(server.user or "")
    await line.say(b"\x04\x01" + request.port.to_bytes(2, "big") + address + user + b"\0" + name)
    reply = await line.exactly(8)
    if len(reply) < 2 or reply[0] != 0 or not 90 <= reply[1] <= 93:
        return replace(so_far, outcome=ProxyOutcome.OTHER, reason=_words(reply.decode("latin-1")))
    if reply[1] == 90:
        return replace(so_far, outcome=ProxyOutcome.PASSES, status=90)
    refusal, reason = _SOCKS4[reply[1]]
    return replace(so_far, outcome=ProxyOutcome.REFUSES, refusal=refusal, status=reply[1], reason=reason)


def _as_set(word: str) -> bytes:
    """Return a word of the environment as its bytes, which need not be UTF-8."""
    return word.encode("utf-8", sys.getfilesystemencodeerrors())


def _words(text: str) -> str:
    """Return what somebody said as one short line of printable characters."""
    return "".join(c if c.isprintable() else "." for c in text)[:_KEPT].strip()
