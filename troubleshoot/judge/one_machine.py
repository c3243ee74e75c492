"""Causes at one of several machines behind an address: some connections meet them, whatever port they come from.

Where all that follow one that failed fail as well a limit has set in, and that is no matter of the machines.
"""

from __future__ import annotations

from probes.base import note
from probes.flows import FlowOutcome, FlowsResult
from troubleshoot.facts import Facts, Reach, Reading, flows, losses, trials
from troubleshoot.judge.evidence.attempt import attempt_evidence, step_of
from troubleshoot.judge.model import Finding, values

#: So many failures among connections that are made are no accident of one moment.
_FAILURES = 2
#: Silence that a loss brings more often than this may be one.
_BY_LOSS = 0.02


def _met(facts: Facts, outcome: FlowOutcome) -> tuple[Reach, int, int] | None:
    """Return the address at which connections came to ``outcome`` and others were made after it; how many of all."""
    for reach in facts.attempts.reaches():
        if reach.reading is not Reading.CONNECTED or flows.split(facts, reach.address) is not None:
            continue  # it does depend on the port: one of several ways
        facts.wait_for("flows", facts.endpoint(reach.address))
        met = [trial.outcome for trial in trials.trials(facts, reach.address)]
        if outcome in met and trials.takes_more(facts, reach.address):
            return reach, met.count(outcome), len(met)
    return None


def refuses(facts: Facts) -> Finding | None:
    """Return ``no-listener`` where some connections are accepted and some refused."""
    found = _met(facts, FlowOutcome.RESET)
    if found is None:
        return None
    reach, refused, total = found
    sure = refused >= _FAILURES
    fact = note("fact.some-refused", count=refused, total=total, port=facts.port)
    return Finding(
        cause="no-listener",
        confidence="likely" if sure else "possible",
        step=step_of(facts),
        evidence=(attempt_evidence(facts, reach), (step_of(facts), fact)),
        values=values(found=f"{refused}/{total}"),
        variant="some-connections",
        address=reach.address,
        unsettles=not sure,
    )


def silent(facts: Facts) -> Finding | None:
    """Return ``firewall-drop`` where some connections are accepted and some meet silence, which is no loss."""
    found = _met(facts, FlowOutcome.SILENCE)
    if found is None:
        return None
    reach, unanswered, total = found
    spread = facts.peek("flows", FlowsResult, facts.endpoint(reach.address))
    if spread is None or not spread.row:
        return None  # many at once: what became of one says little of another
    measured = losses.at_most(facts, reach.address)
    sure = unanswered >= _FAILURES and measured > 0.0 and (2 * measured) ** unanswered <= _BY_LOSS
    return Finding(
        cause="firewall-drop",
        confidence="likely" if sure else "possible",
        scope="remote-host",
        step=step_of(facts),
        evidence=(
            attempt_evidence(facts, reach),
            (step_of(facts), note("fact.some-silent", count=unanswered, total=total, port=facts.port)),
        ),
        values=values(found=f"{unanswered}/{total}"),
        variant="some-connections",
        address=reach.address,
        unsettles=not sure,
        also=(("packet-loss", note("verdict.open-one-loss")),),
    )
