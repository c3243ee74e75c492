"""Connections to a service: in plain words, or inside TLS."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Final

from msgspec.structs import replace

from probes.base import Context
from probes.failure import Failure, classify, errno_name
from probes.service import KEPT, HttpFacts, ServiceOutcome, ServiceRequest, ServiceResult, TlsFacts
from probes.system import certificate, http_answer, on_linux
from probes.system.blocking import in_thread
from probes.system.endpoint import Endpoint, endpoint
from probes.system.line import Line, Patience
from probes.system.tls_line import Hello, TlsLine, settings_for

#: After so long a connection that is still open and silent is worth telling.
_STILL_SILENT_S: Final = 1.05


def _outcome(line: Line) -> ServiceOutcome:
    if line.made_s is None:
        return ServiceOutcome.NOT_CONNECTED
    spoken = _spoken(line)
    if spoken is not None:
        return spoken
    if line.ended_s is not None:
        return ServiceOutcome.RESETS if line.reset else ServiceOutcome.CLOSES
    return ServiceOutcome.SILENT


def _spoken(line: Line) -> ServiceOutcome | None:
    """Return what the service's words amount to; ``None`` where it has said nothing that counts."""
    if not isinstance(line, TlsLine):
        return ServiceOutcome.SPEAKS if line.raw else None
    if line.alert is not None:
        return ServiceOutcome.TLS_ALERT
    if line.handshaken:
        return ServiceOutcome.TLS_OK
    return ServiceOutcome.TLS_FAILED if line.error is not None or line.raw else None


def _tls(line: Line) -> TlsFacts | None:
    if not isinstance(line, TlsLine) or line.made_s is None:
        return None
    papers = [certificate.read(one) for one in line.chain[:8]]
    paper = papers[0] if papers else None
    return TlsFacts(
        version=line.version,
        cipher=line.cipher,
        alert=line.alert,
        subject=paper.subject if paper else None,
        issuer=paper.issuer if paper else None,
        not_before=paper.not_before if paper else None,
        not_after=paper.not_after if paper else None,
        names=paper.names if paper else (),
        weak=paper.weak if paper else None,
        chain=tuple(one.subject for one in papers if one is not None),
        last_issuer=papers[-1].issuer if papers and papers[-1] is not None else None,
        verify_error=line.verify_error,
        verify_code=line.verify_code,
        error=line.error,
        server_name=line.server_name,
        client_wanted=line.client_wanted,
    )


def _result(request: ServiceRequest, line: Line, context: Context, *, complete: bool) -> ServiceResult:
    """Return all of it as it stands."""
    said = line.said if isinstance(line, TlsLine) else None
    first = _bare(line.raw if said is None else said, context)
    failed = line.made_s is None or line.reset
    patience = failed and not line.errno
    head = http_answer.read(first) if complete else None
    return ServiceResult(
        request.address,
        request.port,
        _outcome(line),
        connect_ms=None if line.made_s is None else (line.made_s - line.start_s) * 1000,
        first_hex=first[:KEPT].hex(),
        first_text="".join(chr(byte) if 32 <= byte < 127 else "." for byte in first[:KEPT]),
        first_byte_ms=line.since_ms(line.first_s) if first else None,
        ended_ms=line.since_ms(line.ended_s),
        ended_by_reset=line.reset,
        waited_ms=line.since_ms(line.ended_s or line.loop.time()) or 0.0,
        tls=_tls(line),
        failure=Failure.NO_ANSWER if patience else classify(line.errno) if failed else None,
        errno=errno_name(line.errno) if line.errno else None,
        http=HttpFacts(*head) if head is not None else None,
        rung=request.rung,
        complete=complete,
    )


async def observe(
    request: ServiceRequest, context: Context, progress: Callable[[ServiceResult], None]
) -> ServiceResult:
    """Connect, watch, and close.

    A certificate that is not trusted is a fact: the handshake is then made once more without asking for trust,
    so that the rest is known too. Raises :class:`NotApplicable` for an address that is no literal.
    """
    target = endpoint(request.address, request.port)
    if request.delay_s:
        await asyncio.sleep(request.delay_s)
    async with context.budget.slot():
        if not request.tls:
            return await _plain(request, target, context, progress)
        return (
            await _with_tls(request, target, context, progress)
            if not request.watch
            else await _watched(request, target, context, progress)
        )


async def _watched(
    request: ServiceRequest, target: Endpoint, context: Context, progress: Callable[[ServiceResult], None]
) -> ServiceResult:
    """Look at the TTL of what comes as well, where that can be seen."""
    if not on_linux():
        return await _with_tls(request, target, context, progress)
    from probes.system.linux.ttl_watch import TtlWatch, watch  # noqa: PLC0415

    watches: list[TtlWatch | None] = []

    def begin(opened: socket.socket) -> None:
        watches.append(watch(context, opened, request.address, request.port))

    result = await _with_tls(request, target, context, progress, begin)
    for one in watches:
        if one is not None:
            answer, reset = one.read()
            one.close()
            result = replace(result, answer_ttl=answer, reset_ttl=reset)
    return result


def _bare(said: bytes, context: Context) -> bytes:
    """Return the first bytes as a record may hold them: cookies and where a redirection leads may be secrets."""
    return context.masked(said[: 2 * KEPT].decode("latin-1")).encode("latin-1", "replace")


@contextlib.contextmanager
def _told(
    request: ServiceRequest, line: Line, context: Context, progress: Callable[[ServiceResult], None]
) -> Iterator[None]:
    """Report the connection now, and that it is still silent after a second: others need not wait for the end."""

    def tell() -> None:
        progress(_result(request, line, context, complete=False))

    tell()
    later = line.loop.call_later(_STILL_SILENT_S, tell)
    try:
        yield
    finally:
        later.cancel()


def _patience(request: ServiceRequest) -> Patience:
    return Patience(request.connect_wait_s, request.wait_s, request.settle_s)


async def _plain(
    request: ServiceRequest, target: Endpoint, context: Context, progress: Callable[[ServiceResult], None]
) -> ServiceResult:
    line = Line(target, _patience(request))
    try:
        if await line.connect(context):
            with _told(request, line, context, progress):
                announced = line.announcement() if request.announce else b""
                await line.watch(announced + bytes.fromhex(request.say_hex), context)
        return _result(request, line, context, complete=True)
    finally:
        line.close()


async def _with_tls(
    request: ServiceRequest,
    target: Endpoint,
    context: Context,
    progress: Callable[[ServiceResult], None],
    prepare: Callable[[socket.socket], None] = lambda _: None,
) -> ServiceResult:
    # reading the certificate authorities takes long enough to disturb other probes
    preparing = (
        in_thread(lambda: settings_for(trusting=False), "tls-settings", brief=True) if not request.trusting else None
    )
    hello = Hello(
        name=request.server_name,
        version=request.version,
        agree=bytes.fromhex(request.agree_hex),
        announce=request.announce,
        say=bytes.fromhex(request.say_hex),
        listen=request.listen,
    )
    told: TlsLine | None = None
    try:
        for trusting in (True,) if preparing is None else (False, True):
            line = TlsLine(hello, target, _patience(request))
            line.prepare = prepare
            try:
                if await line.connect(context):
                    with _told(request, line, context, progress):
                        settings = (
                            settings_for(trusting=True, version=request.version)
                            if trusting or preparing is None
                            else await preparing
                        )
                        trusted = await line.shake_hands(settings, context)
                    if not trusted:
                        told = line
                        continue
                if told is not None:
                    line.verify_error, line.verify_code = told.verify_error, told.verify_code
                return replace(_result(request, line, context, complete=True), newest_file_s=_newest(context, told))
            finally:
                line.close()
        return _result(request, line, context, complete=True)
    finally:
        if preparing is not None:
            preparing.cancel()


#: Files that are written whenever a machine is used or updated: the clock was once as late as the newest of them.
_FILES: Final = (
    "var/lib/dpkg/status", "var/lib/rpm/rpmdb.sqlite", "var/log/wtmp", "var/log/lastlog",
    "var/lib/systemd/timesync/clock", "etc/ld.so.cache", "etc/machine-id", "etc/resolv.conf",
)  # fmt: skip


def _newest(context: Context, told: TlsLine | None) -> float | None:
    """Return when the newest of some files was written, seconds since the epoch, where a certificate was not trusted.

    A clock that is earlier than that is slow: this machine itself has seen a later time.
    """
    if told is None:
        return None
    found = []
    for name in _FILES:
        with contextlib.suppress(OSError):
            found.append((context.root / name).stat().st_mtime)
    return max(found, default=None)
