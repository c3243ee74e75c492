"""The verdict in words: what was found and what to do, or that nothing was, and what would settle it."""

from __future__ import annotations

from probes.base import note
from troubleshoot.facts import Reading, describe
from troubleshoot.judge import healthy
from troubleshoot.judge.model import Evidence as JudgeEvidence
from troubleshoot.judge.model import Finding
from troubleshoot.knowledge.text import fill, places
from troubleshoot.report import Alternative, Confidence, Evidence, Location, Relation, Verdict
from troubleshoot.run import beside, unnamed
from troubleshoot.run.compose.advice import checks, commands, elsewhere, unseen, unseen_on_caller
from troubleshoot.run.compose.case import Case
from troubleshoot.run.compose.command import known
from troubleshoot.run.way import ways

_MAX_ALTERNATIVES = 4


def of(case: Case) -> Verdict:
    """Return the verdict on what the diagnosis concluded."""
    finding = case.conclusion.finding
    outcome = case.conclusion.outcome
    mine = finding is not None and finding.scope == "this-machine"
    if unseen_on_caller(case) and (outcome == "healthy" or (mine and case.advice.asked)):
        return _of_another_machine(case)
    sure = finding is not None and finding.confidence == "certain"  # then the merely possible is excluded
    others = [f for f in case.conclusion.others if not (sure and f.confidence == "possible")]
    others.sort(key=lambda f: (f.confidence == "possible", f.warning))
    alternatives = [
        Alternative(cause=f.cause, confidence=f.confidence, why=_summary(case, f), relation=_relation(case, f))
        for f in others[:_MAX_ALTERNATIVES]
    ]
    if finding is None:
        return _without_finding(case, alternatives)
    text = case.catalogue.cause(finding.cause).text(case.language)
    alternatives += _left_open(case, finding, {f.cause for f in others})
    return Verdict(
        outcome="fault",
        cause=finding.cause,
        failed_step=finding.step,
        location=Location(scope=finding.scope, hop=finding.hop, address=finding.address),
        confidence=finding.confidence,
        summary=_summary(case, finding),
        actions=_all_actions(case, finding),
        evidence=tuple(case.evidence(_shown(case, finding))),
        alternatives=tuple(alternatives[:_MAX_ALTERNATIVES]),
        title=text.title,
        explanation=text.explanation,
        not_checked=_not_checked(case),
        ways=ways(case.facts, finding, finding.scope),
        advice_for=case.advice.system,
        elsewhere=elsewhere(case),
    )


def _of_another_machine(case: Case) -> Verdict:
    """Return that the caller's machine is another one: neither health nor a fault of this one says anything of it."""
    said = note("verdict.inconclusive-on-caller", code=case.facts.request.code, hostname=case.advice.hostname)
    return Verdict(
        outcome="inconclusive",
        cause=None,
        failed_step=None,
        location=None,
        confidence="possible",
        summary=case.say(said),
        actions=tuple(checks(case)),
        evidence=tuple(_evidence(case, None)) if case.conclusion.outcome == "healthy" else (),
        alternatives=(),
        not_checked=tuple(dict.fromkeys([unseen(case), *_not_checked(case)])),
        ways=ways(case.facts, None, None) if case.conclusion.outcome == "healthy" else (),
        advice_for=case.advice.system,
        elsewhere=elsewhere(case),
    )


def _shown(case: Case, finding: Finding) -> JudgeEvidence:
    """Return what shows the finding, what stands beside it, and from where was looked."""
    place = ((finding.step, one) for one in case.facts.program.place())
    return (*finding.evidence, *beside.evidence(case.facts, finding), *place)


def _relation(case: Case, other: Finding) -> Relation:
    """Return how another finding stands to the one that was named."""
    named = case.conclusion.finding
    if named is None or other.confidence == "possible":
        return "rival"
    if named.cause in case.catalogue.judgement.stop_everything and other.scope != named.scope:
        return "consequence"
    return "further" if "certain" in (other.confidence, named.confidence) else "rival"  # what is certain has no rival


def _left_open(case: Case, finding: Finding, known: set[str]) -> list[Alternative]:
    """Return the causes that the evidence cannot tell from the finding, with what would."""
    return [
        Alternative(cause=cause, confidence="possible", why=case.say(why))
        for cause, why in finding.also
        if cause not in known
    ]


def _not_checked(case: Case) -> tuple[str, ...]:
    """Return what was not looked at and could change the verdict."""
    conclusion = case.conclusion
    notes = [
        note("verdict.unseen", title=case.title_of((probe, subject)), probe=probe)
        for probe, subject in conclusion.unseen
    ]
    notes += [note("verdict.unseen-rule", cause=cause, error=error) for cause, error in conclusion.broken]
    notes += healthy.not_checked(case.facts) if conclusion.outcome == "healthy" else ()
    if conclusion.outcome == "fault" and unnamed.untried_for_want_of_a_port(case.facts):
        notes.append(note("verdict.unchecked-connection"))
    notes += case.facts.program.apart()
    return tuple(dict.fromkeys(map(case.say, notes)))


def _seeing(case: Case) -> tuple[str, ...]:
    """Return what would let the probes see that a surer verdict lacks."""
    titles = ", ".join(dict.fromkeys(case.title_of(key) for key in case.conclusion.unseen))
    return (case.say(note("verdict.settle-unseen", titles=titles)),) if titles else ()


def _summary(case: Case, finding: Finding) -> str:
    text = case.catalogue.cause(finding.cause).text(case.language)
    return fill(text.summary.get(finding.variant, text.summary["default"]), case.values_of(finding))


def _actions(case: Case, finding: Finding) -> tuple[str, ...]:
    text = case.catalogue.cause(finding.cause).text(case.language)
    values = case.values_of(finding)
    lines = text.actions.get(finding.variant, text.actions["default"])
    values |= commands(lines, {**known(case.facts), **values}, case)
    found = tuple(fill(line, values) for line in lines if places(line) <= values.keys())
    if finding.cause != "api-misuse":
        return found
    # The calls to look at are about this very code; only what was found about this very call is nearer.
    calls = _hints(case)
    return (*calls, *found) if finding.variant == "default" else (*found, *calls)


def _all_actions(case: Case, finding: Finding) -> tuple[str, ...]:
    """Return what the cause advises, between what is nearer and what is worth a look besides."""
    before, after = beside.advice(case.facts, finding), beside.afterwards(case.facts, finding)
    advice = (*map(case.say, before), *_actions(case, finding), *map(case.say, after))
    # What is certain beyond this machine stops the caller's, too: causes on that machine are no use then.
    told = finding.confidence == "certain" and finding.scope != "this-machine"
    return (*advice, *(() if told else checks(case)), *_seeing(case))


def _hints(case: Case) -> tuple[str, ...]:
    """Return what the code's own entry says of the calls to look at."""
    hints = case.catalogue.code(case.facts.request.code).text(case.language).developer_hints
    return tuple(case.say(note("verdict.hint", source=case.spoken(hint, {}))) for hint in hints)


def _without_finding(case: Case, alternatives: list[Alternative]) -> Verdict:
    """Return a verdict that names no cause: the target works, or the question is open."""
    facts, outcome = case.facts, case.conclusion.outcome
    open_ = next((f for f in case.conclusion.others if f.unsettles), None)
    failed = [i for i, v in case.views.items() if v.status == "failed"]
    # Where the code tells a state, what to do is the program's to know: the calls to look at.
    calls = _hints(case) if "state" in facts.request.about else ()
    if outcome == "healthy":
        said = unnamed.healthy(facts)
        again = note("verdict.healthy-action", code=facts.request.code)
        settling = (*map(case.say, (*beside.healthy(facts), again)), *_seeing(case))
    else:
        said, notes = unnamed.inconclusive(facts, failed=bool(failed), partly=open_ is not None)
        settling = tuple(case.say(n) for n in notes)
    return Verdict(
        outcome=outcome,
        cause=None,
        failed_step=healthy.stopped_at(open_, failed) if outcome == "inconclusive" else None,
        location=None,
        confidence=_confidence(case),
        summary=case.say(said),
        actions=(*checks(case), *calls, *settling),
        evidence=tuple(_evidence(case, open_)),
        alternatives=tuple(alternatives),
        not_checked=_not_checked(case),
        ways=ways(case.facts, None, None),
        advice_for=case.advice.system,
        elsewhere=elsewhere(case),
    )


def _evidence(case: Case, open_: Finding | None) -> list[Evidence]:
    """Return what a verdict without a cause rests on: the attempts, what steps came to, what ``open_`` shows."""
    facts, outcome = case.facts, case.conclusion.outcome
    tried = "connect" if facts.port is not None else "ping-remote"
    transport = facts.request.target.transport
    evidence = [
        Evidence(step=tried, fact=case.say(describe.reach(reach, facts.port, transport)))
        for reach in facts.attempts.reaches()[:3]
        if reach.reading is not Reading.UNTRIED
    ]
    if not evidence or outcome == "inconclusive":
        evidence += [
            Evidence(step=i, fact=case.say(v.summary))
            for i, v in case.views.items()
            if v.status in ("failed", "passed") and i != tried
        ][:4]
    if open_ is not None:
        evidence = case.evidence(open_.evidence)
    also = [*beside.shown(facts), *unnamed.further(facts, tried, healthy=outcome == "healthy")]
    return evidence + [Evidence(step=step, fact=case.say(fact)) for step, fact in also]


def _confidence(case: Case) -> Confidence:
    """Return how sure a verdict is that names no cause."""
    if case.conclusion.outcome != "healthy":
        return "possible"
    whole = not (case.conclusion.unseen or case.conclusion.broken or case.conclusion.told)
    return healthy.confidence(case.facts) if whole else "likely"
