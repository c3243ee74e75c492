"""A TLS client over a :class:`probes.system.line.Line`, step by step (RFC 8446, RFC 5246).

What the library calls a failure is told by what the service did: an alert on the wire, silence, a close, other bytes.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from probes.base import Context
from probes.system.endpoint import Endpoint
from probes.system.line import Ended, Line, Patience

if TYPE_CHECKING:
    import ssl

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
_RECORD: Final = struct.Struct("!BHH")
_HANDSHAKE, _CERTIFICATE_REQUEST = 22, 13
#: What a library says of a certificate is kept so far.
_KEPT: Final = 256
#: So much of what is said inside a session is read: the head of an HTTP answer.
_CHUNKS: Final = 4096


class Hello(msgspec.Struct, frozen=True):
    """How a handshake is begun: the name asked for, the one version offered, what is said before and inside.

    ``agree`` is said in the clear first; where the service does not agree with ``S`` there is no handshake
    (PostgreSQL's SSLRequest). ``announce`` says a PROXY line first. ``say`` and ``listen`` are for the session.
    """

    name: str | None = None
    version: str | None = None
    agree: bytes = b""
    announce: bool = False
    say: bytes = b""
    listen: bool = False


class TlsLine(Line):
    """A connection with a handshake, and what the service does inside the session."""

    def __init__(self, hello: Hello, target: Endpoint, patience: Patience) -> None:
        super().__init__(target, patience)
        self.hello = hello
        self.handshaken = False
        self.alert: str | None = None
        self.error: str | None = None
        self.verify_error: str | None = None
        self.verify_code: int | None = None
        self.version: str | None = None
        self.cipher: str | None = None
        self.chain: tuple[bytes, ...] = ()
        self.server_name: str | None = None
        #: What the service said inside a session; ``None`` where there was none.
        self.said: bytes | None = None

    async def shake_hands(self, settings: ssl.SSLContext, context: Context) -> bool:
        """Shake hands and look what follows; false where only the certificate stood in the way."""
        import ssl  # noqa: PLC0415

        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        trusted = True
        try:
            if not await self._agreed(context):
                return True
            session = self._session(settings, incoming, outgoing)
            await self._step(session.do_handshake, incoming, outgoing, context, self.patience.first_s)
            self.handshaken = True
            self._take_down(session)
            await self._inside(session, incoming, outgoing, context)
        except ssl.SSLCertVerificationError as error:
            self.verify_error = str(error.verify_message or error.reason or "")[:_KEPT]
            self.verify_code = int(error.verify_code or 0)
            trusted = False
        except ssl.SSLError as error:
            self._refused(error)
        except (TimeoutError, Ended):
            self.alert = self.alert or alert_in(self.raw)
        try:
            async with asyncio.timeout(self.patience.settle_s):
                await self.send(outgoing.read(), context)  # our own alert
        except (TimeoutError, Ended):
            pass
        return trusted

    async def _agreed(self, context: Context) -> bool:
        """Say what stands before the handshake; whether there is to be one."""
        if self.hello.announce:
            await self.send(self.announcement(), context)
        if not self.hello.agree:
            return True
        async with asyncio.timeout(self.patience.first_s):
            await self.send(self.hello.agree, context)
            answer = await self.receive()
        if answer == b"S":
            self.raw, self.first_s = b"", None
            return True
        return False

    def _session(self, settings: ssl.SSLContext, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> ssl.SSLObject:
        name = self.hello.name
        settings.check_hostname = name is not None and settings.verify_mode != 0
        try:
            session = settings.wrap_bio(incoming, outgoing, server_hostname=name)
        except (ValueError, UnicodeError):  # no name that a handshake could carry
            settings.check_hostname = False
            return settings.wrap_bio(incoming, outgoing)
        self.server_name = name
        return session

    def _take_down(self, session: ssl.SSLObject) -> None:
        """Keep what the handshake agreed on, and the certificates as they came."""
        self.version = session.version()
        cipher = session.cipher()
        self.cipher = cipher[0] if cipher else None
        # public from Python 3.13 on; before that only on the object within
        whole = getattr(session, "get_unverified_chain", None) or getattr(
            getattr(session, "_sslobj", None), "get_unverified_chain", None
        )
        found = whole() if whole is not None else None
        leaf = session.getpeercert(binary_form=True)
        papers = [one if isinstance(one, bytes) else _der(one) for one in found or ()]
        self.chain = tuple(papers) or ((leaf,) if leaf else ())

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
        wait_s = self.patience.first_s if self.hello.say or self.hello.listen else self.settle_s()
        if self.hello.say:
            session.write(self.hello.say)
        while len(self.said) < _CHUNKS:
            try:
                data = await self._step(lambda: session.read(_CHUNKS), incoming, outgoing, context, wait_s)
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                data = b""
            if not isinstance(data, bytes) or not data:
                self.end(None)
                return
            self.first_s = self.first_s if self.said else self.loop.time()
            self.said = (self.said + data)[:_CHUNKS]
            wait_s = self.settle_s()

    def _refused(self, error: ssl.SSLError) -> None:
        """Take note of why a handshake failed: by the alert on the wire where it is readable, else by its name."""
        reason = (error.reason or "").upper()
        known = {name.upper(): name for name in _ALERTS.values()}
        # A reason without one of these words is what our own library thinks of what came.
        for sign in ("_ALERT_", "TLSV1_", "TLSV13_"):
            self.alert = self.alert or known.get(reason.partition(sign)[2])
        if self.alert is None and not self.handshaken:
            self.alert = alert_in(self.raw)
        self.error = reason[:_KEPT] or type(error).__name__

    @property
    def client_wanted(self) -> bool:
        """Whether the service asked for a certificate of the client where that travels in the clear (up to TLS 1.2)."""
        return _CERTIFICATE_REQUEST in _messages(self.raw)


def _der(paper: object) -> bytes:
    """Return a certificate of the library's own kind as DER."""
    import ssl  # noqa: PLC0415

    return ssl.PEM_cert_to_DER_cert(paper.public_bytes())  # type: ignore[attr-defined]


def _messages(raw: bytes) -> set[int]:
    """Return the kinds of the handshake messages that can be read, up to the first record that is none (RFC 5246)."""
    data, at = b"", 0
    while at + _RECORD.size <= len(raw) and raw[at] == _HANDSHAKE:
        length = int(_RECORD.unpack_from(raw, at)[2])
        data += raw[at + _RECORD.size : at + _RECORD.size + length]
        at += _RECORD.size + length
    found, at = set(), 0
    while at + 4 <= len(data):
        found.add(data[at])
        at += 4 + int.from_bytes(data[at + 1 : at + 4], "big")
    return found


def alert_in(raw: bytes) -> str | None:
    """Return the name of the alert that stands open at the start of what came; anything else gives ``None``."""
    if len(raw) < 7 or raw[0] != 21 or raw[1] != 3 or raw[3:5] != b"\0\2":
        return None
    return _ALERTS.get(raw[6], f"alert {raw[6]}")


def settings_for(*, trusting: bool, version: str | None = None) -> ssl.SSLContext:
    """Return what a handshake needs: this machine's own certificate authorities, or no question of trust.

    With ``version`` (as :class:`ssl.TLSVersion` names it) that one alone is offered, with every cipher that the library
    has: what a service would take is looked for, and nothing secret is said.
    """
    import ssl  # noqa: PLC0415

    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if version is not None:
        import warnings  # noqa: PLC0415

        made.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():  # that old versions are deprecated is why they are looked for
            warnings.simplefilter("ignore", DeprecationWarning)
            made.minimum_version = made.maximum_version = ssl.TLSVersion[version]
    if trusting:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    else:
        made.load_default_certs()
    return made
