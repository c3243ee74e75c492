"""Packets arrive and no answer finds the way back: ``no-way-back``. From one end it is never more than possible."""

from __future__ import annotations

from troubleshoot import asks
from troubleshoot.facts import Facts, Reading, describe
from troubleshoot.judge.evidence.attempt import any_connected, attempt_evidence, failing, path_evidence, step_of
from troubleshoot.judge.model import Finding, rule


@rule("no-way-back", asks=(asks.around.subnet, asks.failed.second_look, asks.connected.flows))
def no_way_back(facts: Facts) -> Finding | None:
    """The host says nothing to any packet, nobody reports it absent, and its network is there."""
    reach = failing(facts)
    if reach is None or any_connected(facts) or reach.reading is not Reading.SILENT:
        return None
    route = facts.link.route(reach.address)
    if route is None or route.on_link or facts.path.alive(reach.address) or facts.path.unreachables(reach.address):
        return None
    facts.path.wait_for_ping(reach.address)
    facts.wait_for("traceroute", reach.address)
    beside = facts.path.remote_neighbour_alive(reach.address)
    if facts.path.alive(reach.address) or (beside is None and not facts.hops.last_hop(reach.address)):
        return None
    return Finding(
        cause="no-way-back",
        confidence="possible",
        step=step_of(facts),
        evidence=(
            attempt_evidence(facts, reach),
            *path_evidence(facts, reach.address),
            *((("ping-remote-subnet", describe.ping(beside)),) if beside is not None else ()),
        ),
        address=reach.address,
    )
