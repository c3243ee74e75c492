"""Connect to a service and watch what it does: speak, keep silent, close, reset, or shake hands (RFC 9293, RFC 8446).

Nothing is sent unless a TLS handshake or certain bytes are asked for.
"""

from __future__ import annotations

import enum
from typing import Final

import msgspec

from probes.base import Probe, ProbeTarget
from probes.failure import Failure
from probes.system.dial import syns_in
from probes.system.late import body_of


class ServiceOutcome(enum.StrEnum):
    """What the service did first. Those that begin with ``tls`` come only where a handshake was asked for.

    ``tls-alert``: it refused the handshake, or the session right after it, with an alert. ``tls-failed``: what it
    sent was no handshake that this machine accepts. A handshake that meets silence, a close or a reset is
    ``silent``, ``closes`` or ``resets``.
    """

    SPEAKS = "speaks"
    SILENT = "silent"
    CLOSES = "closes"
    RESETS = "resets"
    TLS_OK = "tls-ok"
    TLS_ALERT = "tls-alert"
    TLS_FAILED = "tls-failed"
    NOT_CONNECTED = "not-connected"


class ServiceRequest(msgspec.Struct, frozen=True):
    """``wait_s`` is how long the first byte, or each step of a handshake, is waited for.

    ``say_hex`` is sent once connected (with ``tls``: inside the session). With ``tls`` and no ``listen`` the
    probe ends soon after the handshake; with it, the first byte inside the session is waited for too.
    ``server_name`` is what the certificate must be for and, unless it is an address, what the handshake names.
    ``settle_s`` is how long more is waited for once something came: the rest of a banner, a close behind it.

    ``rung`` is what this connection is called among several to the same port, and ``delay_s`` how long it waits before
    it begins. ``announce`` has a PROXY line said first. For a handshake: ``version`` is the only one offered
    (``TLSv1_2``), ``trusting`` asks no question of trust, ``agree_hex`` is said in the clear before it.
    ``watch`` has the TTL of what comes looked at, with root on Linux.
    """

    address: str
    port: int
    wait_s: float = 1.5
    tls: bool = False
    server_name: str | None = None
    say_hex: str = ""
    listen: bool = False
    connect_wait_s: float = 3.6
    settle_s: float = 0.1
    rung: str = ""
    delay_s: float = 0.0
    announce: bool = False
    version: str | None = None
    trusting: bool = False
    agree_hex: str = ""
    watch: bool = False


class TlsFacts(msgspec.Struct, frozen=True):
    """What a handshake showed.

    ``version`` is e.g. ``TLSv1.3``; ``alert`` the name of the alert that the service sent (RFC 8446, section 6).
    ``subject``, ``issuer``, ``not_before``, ``not_after`` (UTC, ISO 8601) and ``names`` (what it is for) are the
    certificate's own words, unverified; ``weak`` says what is too weak in it. ``chain`` are the subjects of all that
    came, ``last_issuer`` is the issuer of the last. ``verify_error`` and ``verify_code`` (X509_V_ERR_*,
    openssl-verification-options(1)) say why this machine does not trust it, ``None`` where it does. ``error`` is the
    TLS library's name for what went wrong otherwise. ``server_name`` is the name that was asked for.
    ``client_wanted``: the service asked for a certificate of the client (seen up to TLS 1.2).
    """

    version: str | None = None
    alert: str | None = None
    subject: str | None = None
    issuer: str | None = None
    not_after: str | None = None
    verify_error: str | None = None
    error: str | None = None
    server_name: str | None = None
    cipher: str | None = None
    not_before: str | None = None
    names: tuple[str, ...] = ()
    weak: str | None = None
    chain: tuple[str, ...] = ()
    last_issuer: str | None = None
    verify_code: int | None = None
    client_wanted: bool = False


class HttpFacts(msgspec.Struct, frozen=True):
    """The head of an HTTP answer: its status, and what the headers Server, Date and Via say (RFC 9110)."""

    status: int
    reason: str = ""
    software: str | None = None
    date: str | None = None
    via: str | None = None


class ServiceResult(msgspec.Struct, frozen=True):
    """Times count from the moment when the connection was made, ``connect_ms`` from the probe's start.

    ``first_hex`` and ``first_text`` (everything unprintable as a full stop) are the first bytes that the service
    sent, without secrets, at most :data:`KEPT`; inside TLS they are the session's, after a failed handshake raw ones.
    ``ended_ms`` is when the service closed or reset, ``ended_by_reset`` which of both. ``waited_ms`` is how long it
    was watched. ``complete`` is false in progress reports. ``newest_file_s`` is when the newest of some files of this
    machine was written (seconds since the epoch), known where a certificate was not trusted. ``answer_ttl`` and
    ``reset_ttl`` are the TTL or hop limit that the service's first packet and the first reset arrived with.
    """

    address: str
    port: int
    outcome: ServiceOutcome
    connect_ms: float | None = None
    first_hex: str = ""
    first_text: str = ""
    first_byte_ms: float | None = None
    ended_ms: float | None = None
    ended_by_reset: bool = False
    waited_ms: float = 0.0
    tls: TlsFacts | None = None
    failure: Failure | None = None
    errno: str | None = None
    complete: bool = True
    rung: str = ""
    http: HttpFacts | None = None
    newest_file_s: float | None = None
    answer_ttl: int | None = None
    reset_ttl: int | None = None


#: So many bytes of what a service sends are kept.
KEPT: Final = 512
#: What one connection says at most: a hello, the end of the handshake, what was to be said, a farewell.
_SAID: Final = 4


def _rung(request: ServiceRequest) -> str:
    return request.rung or ("tls" if request.tls else "")


def request_for(target: ProbeTarget) -> ServiceRequest:
    """Point the probe at a target with an address and a port."""
    address, port = target.endpoint("service")
    return ServiceRequest(address, port)


PROBE = Probe(
    name="service",
    request=ServiceRequest,
    result=ServiceResult,
    observe=body_of(__name__),
    request_for=request_for,
    subject=lambda request: f"{request.address} {request.port} {_rung(request)}".rstrip(),
    deadline_s=8.0,
    most_packets=lambda request: (2 if request.tls else 1) * (syns_in(request.connect_wait_s) + _SAID),
)
