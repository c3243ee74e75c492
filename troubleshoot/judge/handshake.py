"""Rules for a TLS handshake that does not come off: versions and names, client certificates, filters on the way."""

from __future__ import annotations

from probes.base import note
from probes.service import ServiceOutcome, ServiceResult, TlsFacts
from troubleshoot import asks
from troubleshoot.facts import Facts, Reach, rungs
from troubleshoot.facts.rungs import Ending, Rung
from troubleshoot.judge.evidence.attempt import step_of
from troubleshoot.judge.evidence.ladder import climbed, hop_of, quoted, shown, weight
from troubleshoot.judge.model import Evidence, Finding, rule, values
from troubleshoot.judge.service import on_any

#: How versions of TLS are written.
_WRITTEN = {"TLSv1": "TLS 1.0", "TLSv1_1": "TLS 1.1", "TLSv1_2": "TLS 1.2", "TLSv1_3": "TLS 1.3"}
#: What a client of today offers: where a service takes one of these by itself, it is the ciphers that do not meet.
_OFFERED = frozenset({"TLSv1_2", "TLSv1_3"})
#: Alerts that a service without the wanted name may send, beside the one that says so (RFC 6066, section 3).
_MAY_MISS_A_NAME = frozenset({"unrecognized_name", "handshake_failure", "internal_error", "access_denied"})
#: Alerts by which a service refuses a client without a certificate, or with one that it does not know; from a service
#: that asked for one also those that may mean something else.
_WANTED = frozenset({"certificate_required"})
_MAY_BE_WANTED = frozenset(
    {"handshake_failure", "bad_certificate", "unknown_ca", "certificate_unknown", "access_denied"}
)
#: What web servers say of it inside the session (nginx).
_SAID = "No required SSL certificate was sent"


def _shaken(rung: Rung | None) -> tuple[ServiceResult, TlsFacts] | None:
    """Return what a handshake showed, ``None`` where none was tried."""
    if rung is None or rung.result is None or rung.result.tls is None:
        return None
    return rung.result, rung.result.tls


@rule("client-certificate-required", asks=(asks.connected.service,), holds_up="healthy")
def client_certificate_required(facts: Facts) -> Finding | None:
    """The service refuses a client that shows no certificate of its own."""
    return on_any(facts, wants_certificate)


def wants_certificate(facts: Facts, reach: Reach) -> Finding | None:
    """Return the finding for an address whose service wants a certificate of the client."""
    if climbed(facts, reach) is None:
        return None
    rung = facts.service.peek_rung(reach.address, rungs.TLS)
    shaken = _shaken(rung)
    if shaken is None:
        return None
    result, tls = shaken
    said = bytes.fromhex(result.first_hex).decode("latin-1")
    asked = tls.client_wanted and (tls.alert in _MAY_BE_WANTED or result.outcome is ServiceOutcome.RESETS)
    if tls.alert not in _WANTED and not asked and _SAID not in said:
        return None
    return Finding(
        cause="client-certificate-required",
        confidence="certain" if facts.request.tls and not asked else "likely",
        step=step_of(facts),
        evidence=shown(facts, reach, rung),
        values=values(found=f'"{_SAID}"' if _SAID in said else tls.alert or "handshake_failure"),
        hop=hop_of(facts, reach.address),
        address=reach.address,
    )


@rule("content-filtered", asks=(asks.connected.service,), holds_up="healthy")
def content_filtered(facts: Facts) -> Finding | None:
    """A hello with the target's name is cut off or swallowed, and one with another name is answered."""
    return on_any(facts, filtered)


def filtered(facts: Facts, reach: Reach) -> Finding | None:
    """Return the finding for an address to which one server name gets through and the target's does not."""
    first = climbed(facts, reach)
    if first is None or not facts.request.tls or first.ending not in (Ending.CUT, Ending.SILENT):
        return None
    other = facts.service.peek_rung(reach.address, rungs.OTHER_NAME)
    if not other.tls or facts.machine.is_local(reach.address):
        return None
    if first.tls and not (other.answered and _cut_before(facts, reach)):
        return None  # the hello came through, and what the service does afterwards is its own affair
    return Finding(
        cause="content-filtered",
        confidence="likely",
        step=step_of(facts),
        evidence=(*shown(facts, reach, first, other), *_reset_ttl(facts, reach)),
        values=values(name=facts.request.target.host, address=reach.address),
        variant="silent" if first.ending is Ending.SILENT else "default",
    )


def _cut_before(facts: Facts, reach: Reach) -> bool:
    """Whether the same hello, made again, was cut off before the service had answered it."""
    again = facts.service.peek_rung(reach.address, rungs.WATCHED)
    return again.ending is Ending.CUT and not again.tls


def _reset_ttl(facts: Facts, reach: Reach) -> Evidence:
    """With which TTL the reset arrives, beside that of the service's own packets: another one tells another machine."""
    seen = facts.service.peek_rung(reach.address, rungs.WATCHED).result
    if seen is None or seen.reset_ttl is None:
        return ()
    if seen.answer_ttl is None:
        return ((step_of(facts), note("fact.reset-ttl", ttl=seen.reset_ttl)),)
    key = "fact.reset-ttl-same" if seen.answer_ttl == seen.reset_ttl else "fact.reset-ttl-other"
    return ((step_of(facts), note(key, ttl=seen.reset_ttl, other=seen.answer_ttl)),)


@rule("tls-failed", asks=(asks.connected.service,), holds_up="healthy")
def tls_failed(facts: Facts) -> Finding | None:
    """Encryption cannot be agreed on, or the handshake is cut off."""
    return on_any(facts, fails)


def fails(facts: Facts, reach: Reach) -> Finding | None:
    """Return the finding for an address with which no handshake comes off."""
    first = climbed(facts, reach)
    shaken = _shaken(first)
    if first is None or shaken is None or not facts.request.tls:
        return None
    result, tls = shaken
    if result.outcome is ServiceOutcome.TLS_OK or first.ending is Ending.SILENT or _explained(facts, reach, first, tls):
        return None
    taken = _taken(facts, reach)
    kind = _kind(facts, first, tls, taken)
    versions = [_WRITTEN[_version(rung)] for rung in taken]
    ciphers = [rung.result.tls.cipher for rung in taken if rung.result is not None and rung.result.tls is not None]
    sure = "likely" if _is_noise(facts, reach, first) else weight(facts)
    return Finding(
        cause="tls-failed",
        confidence="certain" if kind == "version" and sure == "likely" else sure,
        step=step_of(facts),
        evidence=shown(facts, reach, first, *taken),
        values=values(
            found=_reason(first, tls),
            name=facts.request.target.host,
            versions=", ".join(versions) or None,
            ciphers=", ".join(cipher for cipher in dict.fromkeys(ciphers) if cipher) or None,
        ),
        variant={
            "version": "version",
            "cipher": "cipher",
            "nameless": "nameless",
            "name": "name",
            "cut": "cut",
            "other": "other",
            "": "default",
        }[kind],
        hop=hop_of(facts, reach.address),
        address=reach.address,
    )


def _is_noise(facts: Facts, reach: Reach, first: Rung) -> bool:
    """Whether the service answers a hello, and what is said without TLS, with nothing that any known protocol says.

    Another protocol on a port that is registered for TLS would be no fault; what speaks none is no healthy service.
    """
    plain = facts.service.peek_rung(reach.address, rungs.PLAIN)
    unread = all(rung.ending is Ending.ELSE and rung.speaks is None for rung in (first, plain))
    return unread and first.result is not None and bool(first.result.first_hex)


def _reason(first: Rung, tls: TlsFacts) -> str:
    """Return why there was no handshake, in the words of the service or of the TLS library where it has any."""
    if tls.alert is not None:
        return tls.alert
    if tls.error is None or not tls.error.isupper():  # the library gives no reason
        return quoted(first) if first.quote and first.speaks != "tls" else "handshake failure"
    return tls.error.lower().replace("_", " ")


def _explained(facts: Facts, reach: Reach, first: Rung, tls: TlsFacts) -> bool:
    """Whether another rule names what stops the handshake: the protocol, a filter, a client's certificate."""
    address = reach.address
    plain = facts.service.peek_rung(address, rungs.PLAIN)
    if not first.tls and (plain.ending is Ending.WELL or (plain.speaks or first.speaks) not in (None, "tls")):
        return True
    announced = facts.service.peek_rung(address, rungs.ANNOUNCED)
    other = facts.service.peek_rung(address, rungs.OTHER_NAME)
    return (first.ending is Ending.CUT and (other.tls or announced.tls)) or tls.alert in _WANTED


def _taken(facts: Facts, reach: Reach) -> tuple[Rung, ...]:
    """The versions that the service takes where they are offered alone."""
    tried = (facts.service.peek_rung(reach.address, f"{rungs.TLS} {version}") for version in rungs.VERSIONS)
    return tuple(r for r in tried if r.result is not None and r.result.outcome is ServiceOutcome.TLS_OK)


def _version(rung: Rung) -> str:
    """Return the version of TLS that a rung offered alone."""
    return rung.name.rpartition(" ")[2]


def _kind(facts: Facts, first: Rung, tls: TlsFacts, taken: tuple[Rung, ...]) -> str:
    """Return what kind of failure it is; an empty word for one that its alert tells."""
    unknown = tls.alert == "unrecognized_name"
    cut = first.ending is Ending.CUT
    if taken:
        return "cipher" if any(_version(rung) in _OFFERED for rung in taken) else "version"
    if (cut or tls.alert in _MAY_MISS_A_NAME) and facts.names.is_literal:
        return "nameless"
    return "name" if unknown else "cut" if cut else "" if tls.alert is not None else "other"
