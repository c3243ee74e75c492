"""The proxy that the environment names for the target: it does not answer, or it says no.

Whether the failing program heeds the variables is not seen: programs of the web do so as a rule, others at most by
``all_proxy``. Neither cause is ever certain therefore, and beyond the web merely possible.
"""

from __future__ import annotations

from probes.base import note
from probes.failure import Failure
from probes.proxy import ProxyWay
from probes.proxy_way import ProxyOutcome, ProxyWayResult, Refusal
from troubleshoot import asks
from troubleshoot.facts import Facts, Reading, describe, proxies
from troubleshoot.judge.model import Evidence, Finding, rule, values
from troubleshoot.report import Confidence

_DEAD = (ProxyOutcome.UNREACHABLE, ProxyOutcome.UNRESOLVED, ProxyOutcome.SILENT, ProxyOutcome.CLOSES)


def _taken(facts: Facts) -> tuple[ProxyWay, ...]:
    """The proxies that programs would go by: those that ``no_proxy`` takes out are tried, and blamed for nothing."""
    if facts.peek("proxy", object) is None:
        facts.wait_for("proxy")
    return tuple(way for way in proxies.ways(facts) if not way.exempt)


def _weight(facts: Facts, errno: str | None) -> Confidence:
    """How much a proxy's failure weighs, by the error that it brings, if any.

    Where the direct way brings the very code, and the proxy another one, the program went directly.
    """
    if proxies.scheme(facts) not in proxies.WEB:
        return "possible"
    if errno is not None and errno != facts.request.posix:
        blocked = not facts.names.unresolved() and facts.attempts.blocked()
        if blocked and any(proxies.errno_of_direct(r) == facts.request.posix for r in facts.attempts.reaches()):
            return "possible"
    return "likely"


def met_by_proxy(facts: Facts) -> bool:
    """Whether the code is that of a proxy which fails: the program goes by it, and the direct way brings another."""
    reaches = () if facts.names.unresolved() else facts.attempts.reaches()
    if not reaches or any(proxies.errno_of_direct(reach) == facts.request.posix for reach in reaches):
        return False
    failed = (proxy_unreachable(facts), proxy_refuses(facts))
    return any(one is not None and one.confidence == "likely" for one in failed)


@rule("proxy-unreachable", asks=(asks.proxied.way,), holds_up="healthy")
def proxy_unreachable(facts: Facts) -> Finding | None:
    """The proxy that the environment names for this target does not answer, or the variable names none."""
    taken = _taken(facts)
    malformed = [way for way in taken if not way.usable]
    results = [(way, proxies.answer(facts, way)) for way in taken if way.usable]
    dead = [
        (way, result)
        for way, result in results
        if result is not None and result.outcome in _DEAD and proxies.by_address_alone(facts, way) is None
    ]
    if dead:
        way, result = dead[0]
        return _dead(facts, way, result, sure=len(dead) + len(malformed) == len(taken))
    if not malformed:
        return None
    way = malformed[0]
    return Finding(
        cause="proxy-unreachable",
        confidence="possible" if results else _weight(facts, None),
        step="connect",
        evidence=(("connect", note("fact.proxy-malformed", variable=way.variable, proxy=way.shown)),),
        values=values(variable=way.variable, proxy=way.shown),
        variant="malformed",
    )


def _dead(facts: Facts, way: ProxyWay, result: ProxyWayResult, *, sure: bool) -> Finding:
    variant = "default"
    if result.outcome is ProxyOutcome.UNRESOLVED:
        variant = "name"
    elif result.outcome in (ProxyOutcome.SILENT, ProxyOutcome.CLOSES):
        variant = "mute"
    elif result.failure is Failure.REFUSED:
        variant = "refused"
    return Finding(
        cause="proxy-unreachable",
        confidence=_weight(facts, proxies.errno_of(result)) if sure else "possible",
        step="connect",
        evidence=(("connect", proxies.told(way, result)), *_direct(facts)),
        values=values(
            variable=way.variable,
            proxy=way.shown,
            host=way.host,
            port=way.port,
            found=result.errno or "ETIMEDOUT",
        ),
        variant=variant,
        address=result.address,
    )


@rule("proxy-refuses", asks=(asks.proxied.way,), holds_up="healthy")
def proxy_refuses(facts: Facts) -> Finding | None:
    """The proxy answers no: to who asks, to what is asked for, or because it does not get there itself."""
    results = [(way, proxies.answer(facts, way)) for way in _taken(facts) if way.usable]
    said_no = [(way, result) for way, result in results if result is not None and _refused(facts, way, result)]
    if not said_no:
        return None
    way, result = said_no[0]
    direct = not facts.names.unresolved() and _reached_directly(facts)
    other = proxies.by_address_alone(facts, way)
    if other is None and result.refusal in proxies.OF_TARGET and not direct and not _further(facts, result):
        return None  # it cannot be reached from here either: the proxy tells the truth
    variant = "default"
    if other is not None:
        variant = "name"
    elif result.refusal is None:
        variant = "other"
    elif result.refusal in proxies.OF_TARGET:
        variant = "target"
    elif result.refusal is Refusal.LOGIN:
        variant = "login-refused" if result.login else "login"
    elif result.refusal is Refusal.POLICY:
        variant = "policy"
    elif result.refusal is Refusal.UNSUPPORTED:
        variant = "unsupported"
    sure = len(said_no) == len(results) and (direct or variant != "name")
    shown = [proxies.told(way, one) for one in (result, other) if one is not None]
    return Finding(
        cause="proxy-refuses",
        confidence=_weight(facts, None) if sure else "possible",
        step="connect",
        evidence=(*(("connect", fact) for fact in shown), *_direct(facts)),
        values=values(
            variable=way.variable,
            proxy=way.shown,
            found=proxies.words(result),
            schemes=", ".join(result.schemes) or "?",
        ),
        variant=variant,
        address=result.address,
    )


def _further(facts: Facts, result: ProxyWayResult) -> bool:
    """Whether a proxy on another machine tried what never left this one: then it knows more of the target."""
    reaches = () if facts.names.unresolved() else facts.attempts.reaches()
    stayed = bool(reaches) and all(reach.reading is Reading.LOCAL for reach in reaches)
    return stayed and result.address is not None and not facts.machine.is_local(result.address)


def _refused(facts: Facts, way: ProxyWay, result: ProxyWayResult) -> bool:
    if result.outcome in proxies.MUTE:
        return proxies.by_address_alone(facts, way) is not None
    return result.outcome in (ProxyOutcome.REFUSES, ProxyOutcome.OTHER)


def _reached_directly(facts: Facts) -> bool:
    """Whether this machine reaches the target without the proxy; ``NotYet`` while that is open."""
    return not facts.attempts.blocked() and any(r.reading is Reading.CONNECTED for r in facts.attempts.reaches())


def _direct(facts: Facts) -> Evidence:
    """What the direct attempt came to, for comparison."""
    focus = facts.attempts.focus if not facts.names.resolving else None
    tried = [focus] if focus is not None else [r for r in facts.attempts.reaches() if r.decided]
    return tuple(("connect", describe.reach(reach, facts.port)) for reach in tried[:1] if reach.decided)
