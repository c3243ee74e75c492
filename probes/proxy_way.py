"""Ask the proxy that the environment names for a way to the target, as a program would, and say what it answers.

HTTP (RFC 9110, section 9.3.6, and RFC 9112, section 3.2.2), SOCKS 5 (RFC 1928, RFC 1929), SOCKS 4 and 4a (as NEC and
OpenSSH describe them). Where the proxy gives the way nothing is sent along it but, over HTTP, a request for ``/``.
"""

from __future__ import annotations

import enum

import msgspec

from probes.base import NotApplicable, Probe, ProbeTarget
from probes.failure import Failure
from probes.system.dial import syns_in
from probes.system.late import body_of

#: More addresses of a proxy are not tried.
MOST_ADDRESSES = 2


class ProxyOutcome(enum.StrEnum):
    """How far it went.

    ``passes``: the proxy connects to the target. ``refuses``: it says no, or waits for the target itself.
    ``unreachable``: no connection to the proxy. ``unresolved``: its name leads to no address. ``silent``, ``closes``:
    it takes the connection and answers nothing. ``other``: what answers does not speak as such a proxy does.
    """

    PASSES = "passes"
    REFUSES = "refuses"
    UNREACHABLE = "unreachable"
    UNRESOLVED = "unresolved"
    SILENT = "silent"
    CLOSES = "closes"
    OTHER = "other"


class Refusal(enum.StrEnum):
    """What the proxy's no is about: who asks, whether it is allowed, or that it cannot get to the target itself."""

    LOGIN = "login"
    POLICY = "policy"
    TARGET_NAME = "target-name"
    TARGET_REFUSED = "target-refused"
    TARGET_SILENT = "target-silent"
    TARGET = "target"
    UNSUPPORTED = "unsupported"
    BROKEN = "broken"


class ProxyWayRequest(msgspec.Struct, frozen=True):
    """The way of ``program`` (:data:`probes.system.proxy_rules.RULES`) to ``host`` and ``port`` by ``scheme``.

    The proxy and what it wants to know stand in the environment of this process, or of ``pid``, and are read there: a
    request holds no secret. ``ask`` is what the proxy is asked for, the name or an address of the host. ``wait_s`` is
    how long each answer is waited for. ``proxy`` tells whose way it is, for records alone.
    """

    program: str
    scheme: str
    host: str
    port: int
    ask: str
    proxy: str
    pid: int | None = None
    wait_s: float = 3.6


class ProxyWayResult(msgspec.Struct, frozen=True):
    """``asked`` is the host that the proxy was asked for. ``address`` is the proxy's that was connected to, or tried.

    ``status`` is the HTTP status, or the reply code of SOCKS, ``reason`` the words that came with it, ``schemes`` the
    ways to log in that a 407 offers; ``login`` tells whether a user was named to the proxy. ``tunnel`` is false for
    HTTP without CONNECT. ``failure`` and ``errno`` tell why there was no connection. Times are milliseconds:
    ``connect_ms`` of the connection, ``answer_ms`` from then to the answer.
    """

    outcome: ProxyOutcome
    asked: str
    kind: str
    address: str | None = None
    refusal: Refusal | None = None
    status: int | None = None
    reason: str = ""
    schemes: tuple[str, ...] = ()
    login: bool = False
    tunnel: bool = True
    failure: Failure | None = None
    errno: str | None = None
    connect_ms: float | None = None
    answer_ms: float | None = None


def _request_for(target: ProbeTarget) -> ProxyWayRequest:
    port = target.port
    if port is None:
        raise NotApplicable("reason.needs-port", probe="proxy-way")
    host = target.needed_host()
    return ProxyWayRequest("curl", "http" if port == 80 else "https", host, port, host, "", target.pid)


def subject_of(request: ProxyWayRequest) -> str:
    """Return what a request is about: by which proxy to what."""
    return f"{request.proxy} {request.ask} {request.port}".strip()


PROBE = Probe(
    name="proxy-way",
    request=ProxyWayRequest,
    result=ProxyWayResult,
    observe=body_of(__name__),
    request_for=_request_for,
    subject=subject_of,
    deadline_s=16.0,
    # greeting, login and request; and of a proxy that waits, a connection and a question about itself
    most_packets=lambda request: MOST_ADDRESSES * syns_in(request.wait_s) + 6,
)
