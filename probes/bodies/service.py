"""One connection to a service, watched in plain words or inside TLS (RFC 8446)."""

from __future__ import annotations

import asyncio
import contextlib
import errno as errno_module
import socket
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from probes.base import Context
from probes.failure import Failure, classify, errno_name, number_of
from probes.service import KEPT, ServiceOutcome, ServiceRequest, ServiceResult, TlsFacts
from probes.system import certificate
from probes.system.blocking import in_thread
from probes.system.endpoint import Endpoint, endpoint

if TYPE_CHECKING:
    import ssl
#: After so long a connection that is still open and silent is worth telling.
_STILL_SILENT_S: Final = 1.05
#: So many bytes are read in all: the longest sensible chain of certificates is shorter.
_MOST_READ: Final = 1 << 17
_CHUNK: Final = 4096
#: Alerts by number (RFC 8446, section 6; RFC 5246, section 7.2).
_ALERTS: Final = {
    0: "close_notify", 10: "unexpected_message", 20: "bad_record_mac", 21: "decryption_failed",
    22: "record_overflow", 30: "decompression_failure", 40: "handshake_failure", 41: "no_certificate",
    42: "bad_certificate", 43: "unsupported_certificate", 44: "certificate_revoked", 45: "certificate_expired",
    46: "certificate_unknown", 47: "illegal_parameter", 48: "unknown_ca", 49: "access_denied", 50: "decode_error",
    51: "decrypt_error", 60: "export_restriction", 70: "protocol_version", 71: "insufficient_security",
    80: "internal_error", 86: "inappropriate_fallback", 90: "user_canceled", 100: "no_renegotiation",
    109: "missing_extension", 110: "unsupported_extension", 111: "certificate_unobtainable",
    112: "unrecognized_name", 113: "bad_certificate_status_response", 114: "bad_certificate_hash_value",
    115: "unknown_psk_identity", 116: "certificate_required", 120: "no_application_protocol",
}  # fmt: skip
_RESETS: Final = frozenset({errno_module.ECONNRESET, errno_module.EPIPE, errno_module.ECONNABORTED})

#: A greeting that took so long has had its wait: only a close that comes right behind it is still seen, seconds.
_SLOW_S, _SOON_S = 1.0, 0.01


class _Ended(Exception):  # noqa: N818 - it is an outcome, not a failure
    """The service has closed the connection, or reset it."""


class _Line:
    """One connection, and what the service has done with it so far."""

    def __init__(self, request: ServiceRequest, target: Endpoint) -> None:
        self.request = request
        self.target = target
        self.loop = asyncio.get_running_loop()
        self.opened: socket.socket | None = None
        self.start_s = self.loop.time()
        self.made_s: float | None = None
        self.first_s: float | None = None
        self.ended_s: float | None = None
        self.reset = False
        self.errno = 0
        self.raw = b""
        self.read = 0
        #: What the service said inside a session; ``None`` where there was none.
        self.said: bytes | None = None

    async def connect(self, context: Context) -> bool:
        """Connect; false where that failed, or where the connection was reset at once."""
        await context.sending()
        self.start_s = self.loop.time()
        try:
            self.opened = context.socket(self.target.family, socket.SOCK_STREAM)
            async with asyncio.timeout(self.request.connect_wait_s):
                await self.loop.sock_connect(self.opened, self.target.sockaddr)
        except OSError as error:
            self.errno = number_of(error)  # none where our own patience has ended
            if self.errno in _RESETS:
                self.made_s = self.ended_s = self.loop.time()
                self.reset = True
            return False
        self.made_s = self.loop.time()
        return True

    def close(self) -> None:
        """Close the connection."""
        if self.opened is not None:
            self.opened.close()

    async def receive(self) -> bytes:
        """Return what the service sends next. Raises :class:`_Ended`; the caller bounds the time."""
        if self.opened is None or self.read >= _MOST_READ:
            raise _Ended
        try:
            data = await self.loop.sock_recv(self.opened, _CHUNK)
        except OSError as error:
            self._end(error)
            raise _Ended from error
        if not data:
            self._end(None)
            raise _Ended
        self.first_s = self.loop.time() if self.first_s is None else self.first_s
        self.read += len(data)
        self.raw = (self.raw + data)[:KEPT]
        return data

    async def send(self, data: bytes, context: Context) -> None:
        """Send bytes. A service that is gone already shows when it is read from."""
        if self.opened is not None and data:
            await context.sending()
            try:
                await self.loop.sock_sendall(self.opened, data)
            except OSError as error:
                if number_of(error) not in _RESETS:
                    self._end(error)
                    raise _Ended from error

    def _end(self, error: OSError | None) -> None:
        self.ended_s = self.loop.time()
        self.errno = 0 if error is None else number_of(error) or errno_module.EIO
        self.reset = error is not None and self.errno in _RESETS

    async def watch(self, context: Context) -> None:
        """Wait for the first byte, then shortly for what follows it."""
        try:
            async with asyncio.timeout(self.request.wait_s):
                await self.send(bytes.fromhex(self.request.say_hex), context)
                await self.receive()
            async with asyncio.timeout(self._settle_s()):
                while self.read < _MOST_READ:
                    await self.receive()
        except (TimeoutError, _Ended):
            return

    def _settle_s(self) -> float:
        rtt_s = 0.0 if self.made_s is None else self.made_s - self.start_s
        slow = self.made_s is not None and self.loop.time() - self.made_s >= _SLOW_S
        return min(self.request.wait_s, (_SOON_S if slow else self.request.settle_s) + 2 * rtt_s)

    def _outcome(self) -> ServiceOutcome:
        if self.made_s is None:
            return ServiceOutcome.NOT_CONNECTED
        spoken = self._spoken()
        if spoken is not None:
            return spoken
        if self.ended_s is not None:
            return ServiceOutcome.RESETS if self.reset else ServiceOutcome.CLOSES
        return ServiceOutcome.SILENT

    def _spoken(self) -> ServiceOutcome | None:
        """Return what the service's words amount to; ``None`` where it has said nothing that counts."""
        return ServiceOutcome.SPEAKS if self.raw else None

    def _tls(self) -> TlsFacts | None:
        return None

    def result(self, *, complete: bool) -> ServiceResult:
        """Return all of it as it stands."""
        first = self.raw if self.said is None else self.said
        failed = self.made_s is None or self.reset
        patience = failed and not self.errno
        return ServiceResult(
            self.request.address,
            self.request.port,
            self._outcome(),
            connect_ms=None if self.made_s is None else (self.made_s - self.start_s) * 1000,
            first_hex=first.hex(),
            first_text="".join(chr(byte) if 32 <= byte < 127 else "." for byte in first),
            first_byte_ms=self._since(self.first_s) if first else None,
            ended_ms=self._since(self.ended_s),
            ended_by_reset=self.reset,
            waited_ms=self._since(self.ended_s or self.loop.time()) or 0.0,
            tls=self._tls(),
            failure=Failure.NO_ANSWER if patience else classify(self.errno) if failed else None,
            errno=errno_name(self.errno) if self.errno else None,
            complete=complete,
        )

    def _since(self, moment_s: float | None) -> float | None:
        return None if moment_s is None or self.made_s is None else max(0.0, (moment_s - self.made_s) * 1000)


class _TlsLine(_Line):
    """The same with a handshake, and what the service does inside the session."""

    def __init__(self, request: ServiceRequest, target: Endpoint) -> None:
        super().__init__(request, target)
        self.handshaken = False
        self.alert: str | None = None
        self.error: str | None = None
        self.verify_error: str | None = None
        self.version: str | None = None
        self.chain: bytes | None = None
        self.server_name: str | None = None

    async def shake_hands(self, settings: ssl.SSLContext, context: Context) -> bool:
        """Shake hands and look what follows; false where only the certificate stood in the way."""
        import ssl  # noqa: PLC0415

        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = self._session(settings, incoming, outgoing)
        trusted = True
        try:
            await self._step(session.do_handshake, incoming, outgoing, context, self.request.wait_s)
            self.handshaken = True
            self.version = session.version()
            self.chain = session.getpeercert(binary_form=True)
            await self._inside(session, incoming, outgoing, context)
        except ssl.SSLCertVerificationError as error:
            self.verify_error = str(error.verify_message or error.reason or "")[:KEPT]
            trusted = False
        except ssl.SSLError as error:
            self._refused(error)
        except (TimeoutError, _Ended):
            self.alert = self.alert or _alert_in(self.raw)
        try:
            async with asyncio.timeout(self.request.settle_s):
                await self.send(outgoing.read(), context)  # our own alert
        except (TimeoutError, _Ended):
            pass
        return trusted

    def _session(self, settings: ssl.SSLContext, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> ssl.SSLObject:
        name = self.request.server_name
        settings.check_hostname = name is not None and settings.verify_mode != 0
        try:
            session = settings.wrap_bio(incoming, outgoing, server_hostname=name)
        except (ValueError, UnicodeError):  # no name that a handshake could carry
            settings.check_hostname = False
            return settings.wrap_bio(incoming, outgoing)
        self.server_name = name
        return session

    async def _step(
        self,
        call: Callable[[], object],
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        context: Context,
        wait_s: float,
    ) -> object:
        """Carry out one call of the TLS library, moving bytes as it needs them."""
        import ssl  # noqa: PLC0415

        async with asyncio.timeout(wait_s):
            while True:
                try:
                    done = call()
                except ssl.SSLWantReadError:
                    await self.send(outgoing.read(), context)
                    incoming.write(await self.receive())
                else:
                    await self.send(outgoing.read(), context)
                    return done

    async def _inside(
        self, session: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, context: Context
    ) -> None:
        """Look what the service does once the handshake is done: TLS 1.3 refuses a client only then."""
        import ssl  # noqa: PLC0415

        self.said, self.first_s = b"", None
        wait_s = self.request.wait_s if self.request.say_hex or self.request.listen else self._settle_s()
        if self.request.say_hex:
            session.write(bytes.fromhex(self.request.say_hex))
        while len(self.said) < KEPT:
            try:
                data = await self._step(lambda: session.read(KEPT), incoming, outgoing, context, wait_s)
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                data = b""
            if not isinstance(data, bytes) or not data:
                self._end(None)
                return
            self.first_s = self.first_s if self.said else self.loop.time()
            self.said = (self.said + data)[:KEPT]
            wait_s = self._settle_s()

    def _refused(self, error: ssl.SSLError) -> None:
        """Take note of why a handshake failed: by the alert on the wire where it is readable, else by its name."""
        reason = (error.reason or "").upper()
        known = {name.upper(): name for name in _ALERTS.values()}
        for part in (reason.partition("_ALERT_")[2], reason.removeprefix("TLSV1_"), reason.removeprefix("TLSV13_")):
            self.alert = self.alert or known.get(part)
        if self.alert is None and not self.handshaken:
            self.alert = _alert_in(self.raw)
        self.error = reason[:KEPT] or type(error).__name__

    def _spoken(self) -> ServiceOutcome | None:
        if self.alert is not None:
            return ServiceOutcome.TLS_ALERT
        if self.handshaken:
            return ServiceOutcome.TLS_OK
        return ServiceOutcome.TLS_FAILED if self.error is not None or self.raw else None

    def _tls(self) -> TlsFacts | None:
        if self.made_s is None:
            return None
        paper = certificate.read(self.chain) if self.chain else None
        return TlsFacts(
            version=self.version,
            alert=self.alert,
            subject=paper.subject if paper else None,
            issuer=paper.issuer if paper else None,
            not_after=paper.not_after if paper else None,
            verify_error=self.verify_error,
            error=self.error,
            server_name=self.server_name,
        )


def _alert_in(raw: bytes) -> str | None:
    """Return the name of the alert that stands open at the start of what came; anything else gives ``None``."""
    if len(raw) < 7 or raw[0] != 21 or raw[1] != 3 or raw[3:5] != b"\0\2":
        return None
    return _ALERTS.get(raw[6], f"alert {raw[6]}")


def _settings(*, trusting: bool) -> ssl.SSLContext:
    """Return what a handshake needs: this machine's own certificate authorities, or no question of trust."""
    import ssl  # noqa: PLC0415

    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if trusting:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    else:
        made.load_default_certs()
    return made


async def observe(
    request: ServiceRequest, context: Context, progress: Callable[[ServiceResult], None]
) -> ServiceResult:
    """Connect, watch, and close.

    A certificate that is not trusted is a fact: the handshake is then made once more without asking for trust,
    so that the rest is known too. Raises :class:`NotApplicable` for an address that is no literal.
    """
    target = endpoint(request.address, request.port)
    async with context.budget.slot():
        if not request.tls:
            return await _plain(_Line(request, target), context, progress)
        return await _with_tls(request, target, context, progress)


@contextlib.contextmanager
def _told(line: _Line, progress: Callable[[ServiceResult], None]) -> Iterator[None]:
    """Report the connection now, and that it is still silent after a second: others need not wait for the end."""
    progress(line.result(complete=False))
    later = line.loop.call_later(_STILL_SILENT_S, lambda: progress(line.result(complete=False)))
    try:
        yield
    finally:
        later.cancel()


async def _plain(line: _Line, context: Context, progress: Callable[[ServiceResult], None]) -> ServiceResult:
    try:
        if await line.connect(context):
            with _told(line, progress):
                await line.watch(context)
        return line.result(complete=True)
    finally:
        line.close()


async def _with_tls(
    request: ServiceRequest, target: Endpoint, context: Context, progress: Callable[[ServiceResult], None]
) -> ServiceResult:
    # reading the certificate authorities takes long enough to disturb other probes
    preparing = in_thread(lambda: _settings(trusting=False), "tls-settings")
    verify_error: str | None = None
    try:
        for trusting in (False, True):
            line = _TlsLine(request, target)
            try:
                if await line.connect(context):
                    with _told(line, progress):
                        settings = _settings(trusting=True) if trusting else await preparing
                        trusted = await line.shake_hands(settings, context)
                    if not trusted:
                        verify_error = line.verify_error
                        continue
                if trusting:
                    line.verify_error = verify_error
                return line.result(complete=True)
            finally:
                line.close()
        return line.result(complete=True)
    finally:
        preparing.cancel()
