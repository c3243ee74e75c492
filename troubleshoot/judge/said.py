"""Rules for what a service says in its own words: a refusal, an error of its own, another protocol."""

from __future__ import annotations

from probes.service import ServiceOutcome
from troubleshoot import asks
from troubleshoot.facts import Facts, Reach, describe, rungs
from troubleshoot.facts.rungs import Ending, Rung
from troubleshoot.judge.evidence.attempt import step_of
from troubleshoot.judge.evidence.ladder import climbed, hop_of, quoted, shown, weight
from troubleshoot.judge.model import Finding, rule, values
from troubleshoot.judge.service import on_any
from troubleshoot.report import Confidence

#: Refusals by what they mean, each a variant of the cause; one that is not among them is told by its words alone.
_KINDS = frozenset({"crowded", "blocked", "starting", "unavailable", "login"})
#: Statuses by which a gateway says that it did not get through to the server behind it (RFC 9110, section 15.6).
_GATEWAY = frozenset({502, 504})


def _answers(facts: Facts, address: str) -> tuple[Rung, ...]:
    """The rungs on which the expected protocol, or a page, was spoken."""
    spoken = {facts.service.first, rungs.START, rungs.GET}
    beside = facts.service.overheard(address)
    spoken_to = [r for r in facts.service.rungs(address) if r.name in spoken or r.name.startswith(rungs.AGAIN)]
    return (*spoken_to, *((beside,) if beside is not None else ()))


@rule("service-refuses", asks=(asks.connected.service, asks.connected.large_packets), holds_up="healthy")
def service_refuses(facts: Facts) -> Finding | None:
    """The service answers that it does not serve this client, or nobody now."""
    return on_any(facts, refuses)


def refuses(facts: Facts, reach: Reach) -> Finding | None:
    """Return the finding for an address whose service refuses this client."""
    if climbed(facts, reach) is None:
        return None
    answers = _answers(facts, reach.address)
    said = [r for r in answers if r.ending is Ending.NO and r.means != "error" and not _alert(r)]
    if not said:
        return None
    means = said[0].means if said[0].means in _KINDS else "other"
    greeted = [r for r in answers if r.name in (rungs.LISTEN, rungs.TLS) or r.name.startswith(rungs.AGAIN)]
    some = bool(said) and any(r.ending is Ending.WELL for r in greeted) and said[0] in greeted
    return Finding(
        cause="service-refuses",
        confidence=_firmness(facts, said[0]),
        step=step_of(facts),
        evidence=shown(facts, reach, *(greeted if some else said[:1])),
        values=values(said=quoted(said[0]), count=len(said), sent=len(greeted)),
        variant="some"
        if some
        else {
            "crowded": "crowded",
            "blocked": "blocked",
            "starting": "starting",
            "unavailable": "unavailable",
            "login": "login",
            "other": "default",
        }[means],
        hop=hop_of(facts, reach.address),
        address=reach.address,
        warning=means == "login",
    )


def _alert(rung: Rung) -> bool:
    return rung.result is not None and rung.result.outcome is ServiceOutcome.TLS_ALERT


def _firmness(facts: Facts, said: Rung) -> Confidence:
    """How sure a refusal is the cause: its meaning is known for this protocol, or it is a page that may be another."""
    if weight(facts) != "likely" and not facts.service.known:
        return "possible"
    known = said.means in _KINDS and said.speaks != "http"
    return "certain" if known and facts.service.known and weight(facts) == "likely" else "likely"


@rule("service-error", asks=(asks.connected.service, asks.connected.large_packets), holds_up="healthy")
def service_error(facts: Facts) -> Finding | None:
    """The service speaks HTTP and answers with an error of its own, or of the server behind it."""
    return on_any(facts, _errs)


def _errs(facts: Facts, reach: Reach) -> Finding | None:
    if climbed(facts, reach) is None:
        return None
    failed = next((r for r in _answers(facts, reach.address) if r.means == "error"), None)
    if failed is None or failed.result is None:
        return None
    status = rungs.status_of(bytes.fromhex(failed.result.first_hex)) or 500
    return Finding(
        cause="service-error",
        confidence="likely" if facts.service.known or facts.service.established else "possible",
        step=step_of(facts),
        evidence=shown(facts, reach, failed),
        values=values(said=describe.page(failed.result)),
        variant="gateway" if status in _GATEWAY else "default",
        hop=hop_of(facts, reach.address),
        address=reach.address,
    )


@rule("protocol-mismatch", asks=(asks.connected.service,), holds_up="healthy")
def protocol_mismatch(facts: Facts) -> Finding | None:
    """Something else is spoken on the port than the program speaks to it."""
    return on_any(facts, mismatch)


def mismatch(facts: Facts, reach: Reach) -> Finding | None:
    """Return the finding for an address at which something else is spoken."""
    first = climbed(facts, reach)
    if first is None or not facts.service.known or first.ending in (Ending.WELL, Ending.UNTRIED):
        return None
    address, request = reach.address, facts.request
    kind, said, found = _other_way(facts, address, first)
    if not kind:
        return None
    turned = request.sibling is not None and kind in ("tls", "plain")
    where = describe.endpoint(request.target.host or address, facts.port)
    return Finding(
        cause="protocol-mismatch",
        confidence="certain" if request.target.scheme is not None and kind != "unknown" else weight(facts),
        step=step_of(facts),
        evidence=shown(facts, reach, *(dict.fromkeys((first, said)))),
        values=values(
            said=quoted(said),
            found=_named(found),
            protocol=_named(request.protocol),
            fixed=f"{request.sibling}://{where}" if turned else None,
        ),
        variant={
            "tls": "tls",
            "plain": "plain",
            "other": "other",
            "announced": "announced",
            "unasked": "unasked",
            "unknown": "default",
        }[kind],
        hop=hop_of(facts, address),
        address=address,
    )


def _other_way(facts: Facts, address: str, first: Rung) -> tuple[str, Rung, str | None]:
    """Return in which way the protocol is another, the rung that shows it, and its name; an empty word if in none."""
    tls = facts.service.peek_rung(address, rungs.TLS)
    plain = facts.service.peek_rung(address, rungs.PLAIN)
    announced = facts.service.peek_rung(address, rungs.ANNOUNCED)
    if first.means == rungs.UNASKED:
        return "unasked", first, None
    if not facts.request.tls and (tls.tls or first.speaks == "tls"):
        return "tls", tls if tls.tls else first, "TLS"
    if facts.request.tls and not first.tls and (plain.ending is Ending.WELL or _other(plain, first)):
        spoken = plain.speaks or first.speaks or facts.request.protocol
        return "plain" if spoken == facts.request.protocol else "other", plain if plain.answered else first, spoken
    if not facts.request.tls and first.ending is Ending.ELSE and first.quote:
        return "other" if first.speaks else "unknown", first, first.speaks
    if not facts.request.tls and facts.service.speaks_as_expected(address, rungs.TLS):
        return "", first, None  # it answers in its protocol without a PROXY line, if late
    if announced.ending is Ending.WELL or (facts.request.tls and announced.tls):
        return "announced", announced, None
    if not facts.request.tls and tls.speaks not in (None, "tls", facts.request.protocol):
        return "other", tls, tls.speaks
    return "", first, None


def _other(plain: Rung, first: Rung) -> bool:
    """Whether a protocol without TLS was recognised: in the clear, or in the answer to a hello."""
    return (plain.speaks or first.speaks) not in (None, "tls")


def _named(protocol: str | None) -> str | None:
    """Return a protocol's name as people write it."""
    known = {"telnet": "Telnet", "redis": "Redis", "mysql": "MySQL", "postgresql": "PostgreSQL", "mongodb": "MongoDB"}
    known |= {"memcached": "memcached", "kafka": "Kafka", "rsync": "rsync", "svn": "Subversion"}
    return None if protocol is None else known.get(protocol, protocol.upper())
