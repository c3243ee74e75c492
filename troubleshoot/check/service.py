"""What is expected beyond the connection: a greeting, a certificate, an HTTP status."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from typing import Final

from troubleshoot.check.model import Check, Http, Tls
from troubleshoot.knowledge.secrets import masked

Found = tuple[str, dict[str, str]]

#: What is said of a service that did not speak within its time.
NO_ANSWER: Final = "check.found-no-answer"
#: No service is given longer than this to speak, seconds.
_ANSWER_S: Final = 5.0
_MOST_BYTES: Final = 4096
_DAY_S: Final = 86_400


async def beyond(check: Check, opened: socket.socket) -> Found | None:
    """Return what the service did instead of what is expected of it, ``None`` where that was met."""
    expect = check.expect
    if expect.greeting is None and expect.tls is None and expect.http is None:
        return None
    https = expect.tls is not None or (expect.http is not None and check.target.input.lower().startswith("https:"))
    try:
        async with asyncio.timeout(_ANSWER_S):
            return await _talk(check, opened, https=https)
    except TimeoutError:
        return NO_ANSWER, {"seconds": f"{_ANSWER_S:g}"}
    except ssl.SSLCertVerificationError as error:
        return "check.found-certificate", {"reason": error.verify_message or str(error)}
    except ssl.SSLError as error:
        return "check.found-no-tls", {"reason": error.reason or str(error)}
    except (OSError, asyncio.IncompleteReadError, ValueError) as error:
        return "check.found-cut", {"reason": getattr(error, "strerror", None) or type(error).__name__}


async def _talk(check: Check, opened: socket.socket, *, https: bool) -> Found | None:
    expect, host = check.expect, check.target.host or "localhost"
    name = (expect.tls.name if expect.tls else None) or host
    trust = ssl.create_default_context() if https else None
    connected = opened.dup()  # the streams close what they are given
    try:
        reader, writer = await asyncio.open_connection(
            sock=connected, ssl=trust, server_hostname=name.partition("%")[0] if trust else None, limit=_MOST_BYTES
        )
    except BaseException:
        connected.close()
        raise
    try:
        if expect.tls is not None and (unmet := _certificate(writer, expect.tls)):
            return unmet
        if expect.greeting is not None and (unmet := await _greeting(reader, check)):
            return unmet
        if expect.http is not None:
            return await _http(reader, writer, host, expect.http, check)
        return None
    finally:
        writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(0.5):
                await writer.wait_closed()


def _certificate(writer: asyncio.StreamWriter, wanted: Tls) -> Found | None:
    """Name and issuer were verified by the handshake; the days that are left stand in the certificate."""
    held = writer.get_extra_info("peercert") or {}
    until = held.get("notAfter")
    if not until:
        return "check.found-no-tls", {"reason": "no certificate"}
    days = int((ssl.cert_time_to_seconds(until) - time.time()) // _DAY_S)
    return ("check.found-days", {"days": str(days), "until": until}) if days < wanted.days else None


async def _greeting(reader: asyncio.StreamReader, check: Check) -> Found | None:
    said = await reader.readline()
    line = said.decode("utf-8", "replace").rstrip("\r\n")
    met = line.startswith(check.expect.greeting or "")
    return None if met else ("check.found-greeting", {"text": _shown(line, check)[:200]})


async def _http(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, wanted: Http, check: Check
) -> Found | None:
    """Ask for the path by HTTP/1.1 (RFC 9112) and read the status line only."""
    shown = f"[{host}]" if ":" in host else host
    lines = (f"GET {wanted.path} HTTP/1.1", f"Host: {shown}", "User-Agent: wsadiag", "Connection: close", "", "")
    writer.write("\r\n".join(lines).encode("ascii", "strict"))
    await writer.drain()
    said = (await reader.readline()).decode("latin-1").rstrip("\r\n")
    version, _, rest = said.partition(" ")
    if not version.startswith("HTTP/") or not rest[:3].isdecimal():
        return "check.found-no-http", {"text": _shown(said, check)[:200]}
    status = int(rest[:3])
    met = status in wanted.statuses if wanted.statuses else status < 400
    return None if met else ("check.found-status", {"status": _shown(rest, check)[:80]})


def _shown(said: str, check: Check) -> str:
    return said if check.show_secrets else masked(said)
