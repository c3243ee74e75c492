"""The ladder after connect: what is said to a service, one connection a rung, until it is known what it does.

What is expected on the port decides which rung is climbed first; what it came to, which follow. Nothing is said but
harmless openings that need no login (``catalogue/services.toml``), and every rung is one connection.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from probes.service import ServiceOutcome, ServiceRequest
from troubleshoot.asks.model import Job, ask
from troubleshoot.facts import Facts, rungs
from troubleshoot.facts.rungs import Ending, Rung
from troubleshoot.facts.service import GREETINGS_APART_S

#: What comes after a rung that led nowhere waits no longer than this and some round trips, seconds.
_SHORT_S = 1.2
#: Alerts behind which another version of TLS or another cipher may be taken.
_NO_COMMON = frozenset({"protocol_version", "handshake_failure", "insufficient_security", "inappropriate_fallback"})
#: Alerts that may be about the name that was asked for.
_ABOUT_THE_NAME = frozenset({"unrecognized_name", "internal_error", "handshake_failure", "access_denied"})
#: A name that belongs to nobody (RFC 2606).
_NOBODYS = "wsadiag.invalid"


def tcp_port(facts: Facts) -> int | None:
    """Return the target's TCP port, ``None`` where it has none."""
    return facts.port if facts.request.target.transport == "tcp" else None


def rtt_s(facts: Facts, address: str) -> float:
    """Return how long a round trip to an address may take, seconds."""
    return max(facts.path.rtt_ms(address), facts.attempts.reach(address).heard_ms) / 1000


@ask("service")
def service(facts: Facts, address: str) -> Iterator[Job]:
    """What does the service do with a connection: greet, answer, shake hands, hang up?"""
    port = tcp_port(facts)
    if port is None or not (facts.service.known or facts.service.established):
        return
    yield _job(facts, address, _first(facts, address, port))
    done = facts.service.climbed(address)
    if done is None or done.ending is Ending.UNTRIED:
        return
    if facts.request.tls:
        follow = _after_tls
    elif facts.service.known:
        follow = _after_plain
    else:
        follow = _after_nothing
    for request in follow(facts, address, done):
        yield _job(facts, address, request)


def _job(facts: Facts, address: str, request: ServiceRequest) -> Job:
    return Job("service", facts.service.subject(address, request.rung), request)


def _opening(facts: Facts, name: str) -> str:
    return dict(facts.request.openings).get(name, "")


def _server_name(facts: Facts) -> str | None:
    """Return what the certificate must be for: an address only where it stands in a URL, which programs check as well.

    An address alone may be all that is known of a program that goes by a name.
    """
    target = facts.request.target
    literal = facts.names.is_literal
    return None if literal and (not target.scheme or "%" in (target.host or "")) else target.host


def _first(facts: Facts, address: str, port: int) -> ServiceRequest:
    request = facts.request
    # A greeting may wait for a look-up of our name; whoever does not greet ends a connection at once, or not.
    wait_ms = facts.threshold("greeting_ms") + 200 if facts.service.known else facts.threshold("hang_up_ms")
    wait_s = wait_ms / 1000 + 4 * rtt_s(facts, address)
    rung = facts.service.first
    said = "" if request.speaks_first else _opening(facts, rungs.SAY)
    return ServiceRequest(
        address,
        port,
        wait_s,
        tls=request.tls,
        server_name=_server_name(facts),
        say_hex=said,
        listen=request.tls and request.speaks_first,
        rung=rung,
    )


def _short(facts: Facts, address: str, rung: str) -> ServiceRequest:
    """Return the request of a rung that follows one that led nowhere: nobody waits as long for it."""
    port = facts.port or 0
    return ServiceRequest(
        address, port, _SHORT_S + 4 * rtt_s(facts, address), rung=rung, server_name=_server_name(facts)
    )


def _hello(facts: Facts, address: str, rung: str) -> ServiceRequest:
    return replace(_short(facts, address, rung), tls=True, trusting=True)


def _after_plain(facts: Facts, address: str, done: Rung) -> Iterator[ServiceRequest]:
    """After the greeting or the opening of a protocol without TLS."""
    request = facts.request
    nowhere = done.ending in (Ending.CUT, Ending.SILENT)
    if nowhere or done.ending is Ending.ELSE:
        yield _hello(facts, address, rungs.TLS)
    if nowhere:
        said = "" if request.speaks_first else _opening(facts, rungs.SAY)
        yield replace(_short(facts, address, rungs.ANNOUNCED), announce=True, say_hex=said)
    if done.ending is Ending.SILENT and facts.service.speaks_as_expected(address, rungs.TLS):
        # it is there, and slow: it is waited for once more, for longer
        first = _first(facts, address, facts.port or 0)
        yield replace(first, rung=rungs.LATE, wait_s=2 * first.wait_s)
    if done.ending is not Ending.WELL:
        return
    yield from _again(facts, address)
    manner = request.manner
    if manner is not None and manner.start_hex and facts.service.established:
        agreed = done.result is not None and done.result.first_hex.startswith("53")
        yield replace(
            _short(facts, address, rungs.START),
            tls=agreed,
            trusting=agreed,
            agree_hex=_opening(facts, rungs.SAY) if agreed else "",
            say_hex=manner.start_hex,
        )


def _again(facts: Facts, address: str) -> Iterator[ServiceRequest]:
    """Greet once more, and again, with a pause before each: who turns away one connection in several shows it so."""
    apart_s = 0.0 if facts.service.greets_slowly(address) else GREETINGS_APART_S
    for rung in facts.service.repeats(address):
        yield replace(_first(facts, address, facts.port or 0), rung=rung, delay_s=apart_s)
        done = facts.service.climbed(address, rung)
        if done is None or done.ending is not Ending.WELL:
            return


def _after_tls(facts: Facts, address: str, done: Rung) -> Iterator[ServiceRequest]:
    """After a handshake that was not carried out, or was and led nowhere, or to a greeting."""
    result = done.result
    shown = result.tls if result is not None else None
    if result is None or shown is None:
        return
    if result.outcome is ServiceOutcome.TLS_OK:
        yield from _again(facts, address)
        if done.ending is Ending.CUT and result.ended_by_reset and not facts.names.is_literal:
            yield from _reset_inside(facts, address)
        return
    mute = done.ending in (Ending.CUT, Ending.SILENT)
    listens = facts.request.speaks_first
    if mute or (result.outcome is ServiceOutcome.TLS_FAILED and done.speaks != "tls"):
        said = "" if listens else _opening(facts, rungs.SAY) or _opening(facts, rungs.GET)
        yield replace(_short(facts, address, rungs.PLAIN), say_hex=said, server_name=None)
    if mute:
        yield replace(_hello(facts, address, rungs.ANNOUNCED), announce=True)
    if not facts.names.is_literal and (mute or shown.alert in _ABOUT_THE_NAME):
        yield replace(_hello(facts, address, rungs.OTHER_NAME), server_name=_NOBODYS)
        other = facts.service.climbed(address, rungs.OTHER_NAME)
        if result.ended_by_reset and other is not None and other.tls:
            yield replace(_hello(facts, address, rungs.WATCHED), watch=True)
    if shown.alert in _NO_COMMON or (result.outcome is ServiceOutcome.TLS_FAILED and done.speaks == "tls"):
        for version in rungs.VERSIONS:
            yield replace(_hello(facts, address, f"{rungs.TLS} {version}"), version=version)


def _reset_inside(facts: Facts, address: str) -> Iterator[ServiceRequest]:
    """After a session that was reset without a word: does that depend on the name that the hello holds?

    A filter beside the way forges its resets while the service answers, and may be late for the handshake.
    """
    listens = facts.request.speaks_first
    hello = replace(_hello(facts, address, rungs.OTHER_NAME), server_name=_NOBODYS, listen=listens)
    yield replace(hello, say_hex="" if listens else _opening(facts, rungs.SAY))
    other = facts.service.climbed(address, rungs.OTHER_NAME)
    if other is not None and other.tls and other.answered:
        yield replace(_hello(facts, address, rungs.WATCHED), watch=True)


def _after_nothing(facts: Facts, address: str, done: Rung) -> Iterator[ServiceRequest]:
    """On a port of which nothing is known: a hello, then a page, to a service that has waited for its client.

    One that has greeted is not spoken to, but greeted again.
    """
    yield from _again(facts, address)
    if done.ending is not Ending.SILENT:
        return
    patience_s = facts.threshold("hang_up_ms") / 1000 + 4 * rtt_s(facts, address)
    yield replace(_hello(facts, address, rungs.TLS), wait_s=patience_s)
    met = facts.service.climbed(address, rungs.TLS)
    if met is not None and met.ending is not Ending.UNTRIED and not met.tls and met.speaks in (None, "http"):
        yield replace(_short(facts, address, rungs.GET), wait_s=patience_s, say_hex=_opening(facts, rungs.GET))
