"""Where FTP's second connection goes. Types and sources: :mod:`probes.ftp_data`."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Callable

from msgspec.structs import replace

from probes.base import Context
from probes.failure import Failure
from probes.ftp_data import DataWay, FtpDataRequest, FtpDataResult
from probes.system.dial import Dial
from probes.system.endpoint import endpoint

_LONGEST_REPLY = 8192
#: `227 Entering Passive Mode (h1,h2,h3,h4,p1,p2)`: the brackets are not everywhere (RFC 1123, section 4.1.2.6).
_PASV = re.compile(rb"(\d{1,3}),(\d{1,3}),(\d{1,3}),(\d{1,3}),(\d{1,3}),(\d{1,3})")
#: `229 Entering Extended Passive Mode (|||6446|)` (RFC 2428, section 3).
_EPSV = re.compile(rb"\((.)\1\1(\d{1,5})\1\)")

#: A port was given, by PASV or by EPSV.
_GIVEN = frozenset({227, 229})
#: A word that the server does not know, or a protocol (RFC 959, section 4.2; RFC 2428, section 2).
_UNKNOWN = frozenset({500, 501, 502, 504, 522})


async def observe(
    request: FtpDataRequest, context: Context, progress: Callable[[FtpDataResult], None]
) -> FtpDataResult:
    """Take the greeting, ask, try while the first connection stands, say good-bye.

    A server stops to listen for the second connection once the first is over, or once another port is asked for.
    Raises :class:`NotApplicable` for what is no literal address.
    """
    target = endpoint(request.address, request.port)
    loop, result = asyncio.get_running_loop(), FtpDataResult(request.address)
    async with context.budget.slot():
        await context.sending()
        opened = context.socket(target.family, socket.SOCK_STREAM)
        try:
            await asyncio.wait_for(loop.sock_connect(opened, target.sockaddr), request.wait_s)
            result = replace(result, greeting=(await _reply(opened, request.wait_s))[0])
            if result.greeting is None or not 200 <= result.greeting < 300:
                return result
            # PASV has no place for an IPv6 address
            for word in ("EPSV",) if target.family == socket.AF_INET6 else ("PASV", "EPSV"):
                result = await _ask(result, word, opened, request, context)
                progress(result)
                if result.reply not in (*_UNKNOWN, *_GIVEN):
                    break
            await _say(opened, "QUIT", context)
        except OSError:  # a TimeoutError as well
            return result
        finally:
            opened.close()
    return result


async def _say(opened: socket.socket, word: str, context: Context) -> None:
    await context.sending()
    await asyncio.get_running_loop().sock_sendall(opened, f"{word}\r\n".encode("ascii"))


async def _ask(
    result: FtpDataResult, word: str, opened: socket.socket, request: FtpDataRequest, context: Context
) -> FtpDataResult:
    """Ask for a port by one word, and try it."""
    await _say(opened, word, context)
    code, text = await _reply(opened, request.wait_s)
    announced, port = _port(code, text)
    if result.reply in (None, *_UNKNOWN) or code in _GIVEN:
        result = replace(result, reply=code)
    if port is None:
        return result
    result = replace(result, announced=announced or result.announced, port=result.port or port)
    tried = dict.fromkeys((announced or request.address, request.address))
    ways = await asyncio.gather(*(_try(one, port, request, context) for one in tried))
    return replace(result, ways=(*result.ways, *(replace(way, word=word) for way in ways)))


def _port(code: int | None, text: bytes) -> tuple[str | None, int | None]:
    """Return the address and the port that a reply gives, ``None`` for what is not there or no port."""
    announced, port = None, 0
    if code == 227 and (found := _PASV.search(text)) is not None:
        numbers = [int(one) for one in found.groups()]
        if max(numbers) < 256:
            announced, port = str(ipaddress.IPv4Address(bytes(numbers[:4]))), numbers[4] * 256 + numbers[5]
    elif code == 229 and (extended := _EPSV.search(text)) is not None:
        port = int(extended[2])
    return (announced, port) if 0 < port < 65536 else (None, None)


async def _reply(opened: socket.socket, wait_s: float) -> tuple[int | None, bytes]:
    """Return code and text of the next reply, its last line's where it has several (RFC 959, section 4.2)."""
    got, loop = b"", asyncio.get_running_loop()
    async with asyncio.timeout(wait_s):
        while len(got) < _LONGEST_REPLY:
            last = re.search(rb"(?m)^(\d{3}) [^\r\n]*\r?\n\Z", got)
            if last is not None:
                return int(last[1]), got
            data = await loop.sock_recv(opened, 4096)
            if not data:
                break
            got += data
    return None, got


async def _try(address: str, port: int, request: FtpDataRequest, context: Context) -> DataWay:
    """Connect there, and hang up. What another machine can never be reached by is not tried, whoever names it."""
    named = ipaddress.ip_address(address.partition("%")[0])
    other = address != request.address and not ipaddress.ip_address(request.address.partition("%")[0]).is_loopback
    if other and (named.is_loopback or named.is_unspecified or named.is_multicast):
        return DataWay(address, port, connected=False, failure=Failure.INVALID, errno="EINVAL")
    dial = Dial(endpoint(address, port))
    await dial.run(context, request.wait_s)
    return DataWay(address, port, connected=dial.connected, failure=dial.failure, errno=dial.errno_word)
