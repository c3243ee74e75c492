"""The way by a proxy: which one the environment names for the target, what it was asked for, and what it answered."""

from __future__ import annotations

from probes.base import Note, note
from probes.failure import Failure
from probes.proxy import ProxyResult, ProxyWay
from probes.proxy_way import ProxyOutcome, ProxyWayRequest, ProxyWayResult, Refusal, subject_of
from troubleshoot.facts import Facts, Reach, Reading, describe, family_of

#: Programs that speak these heed the variables as a rule; others do so at most by ``all_proxy``.
WEB = frozenset({"http", "https", "ws", "wss", "ftp"})
#: Kinds of proxies that are given an address: the program looks the name up by itself.
_GIVEN_ADDRESSES = ("socks4", "socks5")
#: What a proxy says that could not get to the target.
OF_TARGET = frozenset({Refusal.TARGET, Refusal.TARGET_NAME, Refusal.TARGET_REFUSED, Refusal.TARGET_SILENT})
#: It takes connections and says nothing.
MUTE = frozenset({ProxyOutcome.SILENT, ProxyOutcome.CLOSES})


def scheme(facts: Facts) -> str:
    """Return the scheme by which a program would choose its variable: the URL's, else that of the port's service."""
    request = facts.request
    if request.target.scheme is not None:
        return request.target.scheme
    web = request.protocol == "http" or facts.port in (443, 8443)
    return ("https" if request.tls or facts.port in (443, 8443) else "http") if web else request.protocol or "tcp"


def ways(facts: Facts) -> tuple[ProxyWay, ...]:
    """Return the ways that lead over a proxy, each proxy once; those that ``no_proxy`` takes out are among them."""
    found = facts.peek("proxy", ProxyResult)
    if found is None or facts.port is None or facts.request.target.transport != "tcp":
        return ()
    once: dict[tuple[str, str | None, int | None, bool], ProxyWay] = {}
    for way in found.ways:
        if way.variable is not None:
            once.setdefault((way.kind, way.host, way.port, way.exempt), way)
    return tuple(once.values())


def question(facts: Facts, way: ProxyWay, ask: str) -> ProxyWayRequest:
    """Return the request that asks the proxy of ``way`` for ``ask``."""
    host = facts.request.target.host or ""
    port = facts.port or 0
    host_shown = f"[{way.host}]" if way.host and ":" in way.host else way.host
    proxy = f"{way.kind}://{host_shown}:{way.port}"
    return ProxyWayRequest(way.program, scheme(facts), host, port, ask, proxy, facts.request.pid)


def asked_for(facts: Facts, way: ProxyWay) -> str | None:
    """Return what a program asks this proxy for: the name, or an address of it; ``None`` while that is not known."""
    host = facts.request.target.host
    if host is None or way.kind not in _GIVEN_ADDRESSES or facts.names.is_literal:
        return host
    usable = [a for a in facts.targets if way.kind == "socks5" or family_of(a) == 4]
    if usable:
        return usable[0]
    return None if facts.names.resolving or facts.names.resolve is None else host


def answer(facts: Facts, way: ProxyWay, ask: str | None = None) -> ProxyWayResult | None:
    """Return what came of the way; raises ``NotYet`` while it is tried."""
    ask = ask or asked_for(facts, way)
    if ask is None:
        return None
    return facts.get("proxy-way", ProxyWayResult, subject_of(question(facts, way, ask)))


def known(facts: Facts, way: ProxyWay) -> ProxyWayResult | None:
    """Return what came of the way, as far as it has ended."""
    return _peek(facts, way, asked_for(facts, way))


def _peek(facts: Facts, way: ProxyWay, ask: str | None) -> ProxyWayResult | None:
    key = ("proxy-way", subject_of(question(facts, way, ask)) if ask is not None else "")
    return None if key in facts.running else facts.peek("proxy-way", ProxyWayResult, key[1])


def by_address(facts: Facts, way: ProxyWay) -> str | None:
    """Return an address to ask for as well: where the proxy did not get to the name, or the direct way has failed."""
    if facts.names.is_literal or way.kind in _GIVEN_ADDRESSES:
        return None
    reaches = facts.attempts.reaches()
    there = [r.address for r in reaches if r.reading is Reading.CONNECTED]
    first = known(facts, way)
    if first is None:
        failed = [r.address for r in reaches if r.failed]
        return failed[0] if failed and not there else None
    if first.refusal not in OF_TARGET and first.outcome not in MUTE:
        return None
    usable = [*there, *facts.targets]
    return usable[0] if usable else None


def by_address_alone(facts: Facts, way: ProxyWay) -> ProxyWayResult | None:
    """Return the answer for an address of the target that the proxy reaches, while it does not get to the name."""
    first, address = answer(facts, way), by_address(facts, way)
    if first is None or address is None or first.outcome is ProxyOutcome.PASSES:
        return None
    other = answer(facts, way, address)
    return other if other is not None and other.outcome is ProxyOutcome.PASSES else None


def leads(facts: Facts) -> tuple[ProxyWay, ProxyWayResult] | None:
    """Return the first proxy that leads to the target, by what is known."""
    for way in (one for one in ways(facts) if one.usable):
        address = None if facts.names.is_literal else next(iter(facts.targets), None)
        for ask in dict.fromkeys((asked_for(facts, way), by_address(facts, way), address)):
            result = _peek(facts, way, ask)
            if result is not None and result.outcome is ProxyOutcome.PASSES:
                return way, result
    return None


def errno_of(result: ProxyWayResult) -> str | None:
    """Return the POSIX name of what a program meets that finds the proxy like this; ``None`` for an answer of its."""
    if result.outcome is ProxyOutcome.UNREACHABLE:
        return "ETIMEDOUT" if result.failure is Failure.NO_ANSWER else result.errno
    return {ProxyOutcome.SILENT: "ETIMEDOUT", ProxyOutcome.CLOSES: "ECONNRESET"}.get(result.outcome)


def errno_of_direct(reach: Reach) -> str | None:
    """Return the POSIX name of what a program meets that goes directly."""
    if reach.reading is Reading.SILENT:
        return "ETIMEDOUT"
    return "ECONNRESET" if reach.reading is Reading.CUT else reach.errno


def words(result: ProxyWayResult) -> str:
    """Return what a proxy answered, as short as it can be quoted."""
    code = "" if result.status is None else str(result.status)
    said = f"{code} {result.reason}".strip()
    if result.refusal is Refusal.LOGIN and result.schemes:
        said = f"{said}, {', '.join(result.schemes)}" if said else ", ".join(result.schemes)
    return said or "?"


def told(way: ProxyWay, result: ProxyWayResult) -> Note:
    """Return in one sentence what came of a way."""
    proxy = describe.endpoint(way.host or "?", way.port)
    outcome = result.outcome
    if outcome is ProxyOutcome.PASSES:
        ms = describe.milliseconds((result.connect_ms or 0.0) + (result.answer_ms or 0.0))
        return note("fact.proxy-passes", proxy=proxy, name=result.asked, ms=ms)
    if outcome is ProxyOutcome.REFUSES:
        return note("fact.proxy-refuses", proxy=proxy, name=result.asked, answer=words(result))
    if outcome is ProxyOutcome.OTHER:
        return note("fact.proxy-other", proxy=proxy, kind=result.kind, answer=words(result))
    if outcome is ProxyOutcome.UNRESOLVED:
        return note("fact.proxy-unresolved", variable=way.variable, host=way.host)
    if outcome is ProxyOutcome.UNREACHABLE:
        return note("fact.proxy-unreachable", proxy=proxy, errno=result.errno or "ETIMEDOUT")
    return note("fact.proxy-mute" if outcome is ProxyOutcome.SILENT else "fact.proxy-closes", proxy=proxy)
