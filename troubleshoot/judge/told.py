"""A device or router says no: ``firewall-reject``, ``network-unreachable``."""

from __future__ import annotations

from probes.base import note
from probes.failure import IcmpMeaning
from probes.tcp_path import TcpAnswer
from troubleshoot import asks
from troubleshoot.facts import UNREACHABLE, Facts, Reach, describe, plain
from troubleshoot.judge import forwarded, one_way, way_to_servers
from troubleshoot.judge.evidence.attempt import attempt_evidence, failing, path_evidence, step_of
from troubleshoot.judge.evidence.icmp import (
    decided,
    hop_of_sender,
    icmp_to_others,
    less_sure,
    meets_others,
    reported_late,
    router_error,
)
from troubleshoot.judge.model import Finding, first_step, rule, values
from troubleshoot.report import Confidence


@rule(
    "firewall-reject",
    asks=(asks.connected.flows, asks.connected.losses, asks.failed.wire, asks.failed.own_filter),
)
def firewall_reject(facts: Facts) -> Finding | None:
    """A device answers with an ICMP refusal: to every connection, or to those that take one of several ways."""
    return one_way.rejects(facts) or _rejects(facts)


def _rejects(facts: Facts) -> Finding | None:
    reach = failing(facts)
    error = router_error(facts, reach) if reach is not None else None
    if reach is None or error is None:
        return None
    by_host = error.sender is not None and plain(error.sender) == plain(reach.address)
    confidence: Confidence = "certain"
    if error.meaning is IcmpMeaning.PORT_UNREACHABLE:
        if by_host and facts.request.target.transport == "udp":
            return None
    elif error.meaning is IcmpMeaning.PROHIBITED:
        pass
    elif error.meaning in UNREACHABLE:
        if by_host:
            facts.wait_for("tcp-path", facts.endpoint(reach.address))
            if forwarded.refused_by_name(facts, reach):
                return None
            confidence = "certain" if _refuses_there(facts, reach) else "likely"
        else:
            general = meets_others(facts, reach.address, error)
            if general is True:
                return None
            if general is None:
                if reported_late(facts, reach):
                    return None
                confidence = "possible"
    else:
        return None
    confidence, doubts = less_sure(facts, reach, confidence)
    trace = facts.path.trace(reach.address)
    hop = hop_of_sender(facts, reach.address, error.sender)
    return Finding(
        cause="firewall-reject",
        confidence=confidence,
        scope="remote-host" if by_host else "path",
        step=step_of(facts),
        evidence=(
            attempt_evidence(facts, reach),
            *((step_of(facts), doubt) for doubt in doubts),
            *((("traceroute", describe.trace(trace)),) if trace else ()),
        ),
        values=values(router=error.sender, address=reach.address, found=describe.icmp(error)),
        variant="host" if by_host else "default" if hop else "unlocated",
        hop=hop,
        address=error.sender,
        also=(("host-down", note("verdict.open-forwarded-down")),) if by_host and confidence == "likely" else (),
    )


def _refuses_there(facts: Facts, reach: Reach) -> bool:
    """Whether SYNs are refused as soon as they reach the host: it does not pass them on to a machine that is off."""
    path = facts.path.tcp_path(reach.address)
    distance = facts.hops.distance(reach.address)
    return path is not None and path.final is TcpAnswer.ICMP and distance is not None and path.final_ttl == distance


@rule(
    "network-unreachable",
    asks=(asks.failed.second_look, asks.connected.flows, asks.failed.wire, asks.failed.own_filter),
)
def network_unreachable(facts: Facts) -> Finding | None:
    """A router answers that it cannot reach the network or host, for every kind of packet."""
    return way_to_servers.denied(facts) or _unreachable(facts)


def _unreachable(facts: Facts) -> Finding | None:
    reach = failing(facts)
    if reach is None:
        return None
    to_port = router_error(facts, reach)
    error = to_port or icmp_to_others(facts, reach)
    if error is None or error.meaning not in UNREACHABLE:
        return None
    if error.sender is not None and plain(error.sender) == plain(reach.address):
        return None
    if to_port is not None and error.meaning is IcmpMeaning.HOST_UNREACHABLE and reported_late(facts, reach):
        return None
    general = meets_others(facts, reach.address, error)
    if general is False:
        return None
    facts.wait_for("traceroute", reach.address)
    hop = hop_of_sender(facts, reach.address, error.sender)
    walk = facts.path.tcp_path(reach.address) if reach.icmp is None and to_port is not None else None
    shown = (*(((step_of(facts), describe.tcp_path(walk)),) if walk else ()), *path_evidence(facts, reach.address))
    if reach.icmp is not None:
        shown = shown[:1]  # the attempt was told itself, and traceroute where
    sure = general and to_port is not None and decided(facts, reach, error)
    confidence, doubts = less_sure(facts, reach, "certain" if sure else "likely")
    return Finding(
        cause="network-unreachable",
        confidence=confidence,
        step=first_step(facts, "traceroute", step_of(facts)),
        evidence=(attempt_evidence(facts, reach), *((step_of(facts), doubt) for doubt in doubts), *shown),
        values=values(router=error.sender, address=reach.address, found=describe.icmp(error)),
        variant="default" if hop else "unlocated",
        hop=hop,
        address=error.sender,
    )
