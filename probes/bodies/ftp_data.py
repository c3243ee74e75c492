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


async def observe(
    request: FtpDataRequest, context: Context, progress: Callable[[FtpDataResult], None]
) -> FtpDataResult:
    """Take the greeting, ask, say good-bye, and try. Raises :class:`NotApplicable` for what is no literal address."""
    target = endpoint(request.address, request.port)
    loop, result = asyncio.get_running_loop(), FtpDataResult(request.address)
    async with context.budget.slot():
        await context.sending()
        opened = context.socket(target.family, socket.SOCK_STREAM)
        try:
            await asyncio.wait_for(loop.sock_connect(opened, target.sockaddr), request.wait_s)
            result = await _ask(result, opened, target.family == socket.AF_INET6, request, context)
        except OSError:  # a TimeoutError as well
            return result
        finally:
            opened.close()
    progress(result)
    if result.port is None:
        return result
    tried = dict.fromkeys((result.announced or request.address, request.address))
    ways = await asyncio.gather(*(_try(one, result.port, request, context) for one in tried))
    return replace(result, ways=tuple(ways))


async def _ask(
    result: FtpDataResult, opened: socket.socket, over_ipv6: bool, request: FtpDataRequest, context: Context
) -> FtpDataResult:
    greeting, _ = await _reply(opened, request.wait_s)
    result = replace(result, greeting=greeting)
    if greeting is None or not 200 <= greeting < 300:
        return result
    for word in ("EPSV",) if over_ipv6 else ("PASV", "EPSV"):
        await context.sending()
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(opened, f"{word}\r\n".encode("ascii"))
        code, text = await _reply(opened, request.wait_s)
        result = replace(result, reply=code)
        if code == 227 and (found := _PASV.search(text)) is not None:
            numbers = [int(one) for one in found.groups()]
            if max(numbers) < 256:
                address = str(ipaddress.IPv4Address(bytes(numbers[:4])))
                result = replace(result, announced=address, port=numbers[4] * 256 + numbers[5])
        elif code == 229 and (extended := _EPSV.search(text)) is not None:
            result = replace(result, port=int(extended[2]))
        if code is None or code not in (500, 501, 502, 522):
            break  # it knows the word
    await context.sending()
    await asyncio.get_running_loop().sock_sendall(opened, b"QUIT\r\n")
    return result if result.port is None or 0 < result.port < 65536 else replace(result, port=None)


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
