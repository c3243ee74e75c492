"""Compose the report from facts, conclusion and steps: the one place where notes become sentences."""

from __future__ import annotations

import functools
from typing import Any

import msgspec

from probes.base import Note, note
from troubleshoot import __version__
from troubleshoot.facts import Facts, Key, Reading, describe
from troubleshoot.judge import Conclusion, healthy
from troubleshoot.judge.model import Finding
from troubleshoot.knowledge.catalogue import Catalogue
from troubleshoot.knowledge.kinds import Language
from troubleshoot.knowledge.text import fill, places, say, worded
from troubleshoot.report import (
    Alternative,
    Confidence,
    ErrorCode,
    Evidence,
    Location,
    Relation,
    Report,
    Step,
    TargetInfo,
    Tool,
    Vantage,
    Verdict,
)
from troubleshoot.run import unnamed
from troubleshoot.run.saved import SAVED
from troubleshoot.run.seen import seen_now
from troubleshoot.run.way import ways
from troubleshoot.steps import StepView

_MAX_ALTERNATIVES = 4


class Circumstances(msgspec.Struct, frozen=True, kw_only=True):
    """Everything of a report that is not judged: when, where, how long, in which language."""

    started: str
    duration_ms: float
    vantage: Vantage
    code_input: str
    interrupted: bool
    packets: int
    packet_limit: int | None
    language: Language


def compose(
    facts: Facts, conclusion: Conclusion, views: dict[str, StepView], catalogue: Catalogue, circumstances: Circumstances
) -> Report:
    """Return the report, every text in the language asked for."""
    return _Composer(facts, conclusion, views, catalogue, circumstances).report()


class _Composer:
    def __init__(
        self,
        facts: Facts,
        conclusion: Conclusion,
        views: dict[str, StepView],
        catalogue: Catalogue,
        around: Circumstances,
    ) -> None:
        self.facts = facts
        self.request = facts.request
        self.conclusion = conclusion
        self.views = views
        self.catalogue = catalogue
        self.around = around

    @functools.cached_property
    def wording(self) -> dict[str, str]:
        return self.catalogue.wording(self.around.language)

    def say(self, sentence: Note) -> str:
        return say(sentence, self.wording)

    def report(self) -> Report:
        request, around = self.request, self.around
        entry = self.catalogue.code(request.code)
        return Report(
            tool=Tool(name="wsadiag", version=__version__),
            started=around.started,
            duration_ms=around.duration_ms,
            vantage=around.vantage,
            error=ErrorCode(
                input=around.code_input,
                number=entry.number,
                name=entry.name,
                posix=entry.posix,
                title=entry.title.in_(around.language),
            ),
            target=TargetInfo(
                input=request.target.input,
                host=request.target.host,
                port=self.facts.port,
                transport=request.target.transport,
                addresses=self.facts.targets,
                service=request.target.service,
            ),
            reproduction=seen_now(self.facts, self.conclusion, self.catalogue),
            verdict=self.verdict(),
            steps=tuple(self.step(identifier) for identifier in request.steps),
            probes=tuple(msgspec.to_builtins(o) for o in self.facts.observations.values()),
            request={key: getattr(request, key) for key in SAVED},
            language=around.language,
            interrupted=around.interrupted,
            packets=around.packets,
            packet_limit=around.packet_limit,
        )

    # -- verdict -------------------------------------------------------------------------------------------

    def values_of(self, finding: Finding) -> dict[str, str]:
        """Return the values for the catalogue's sentences about a finding."""
        given: dict[str, object] = {
            "target": self.request.target.input or "?",
            "host": self.request.target.host,
            "port": self.facts.port,
            "service": self.request.target.service,
            "code": self.request.code,
            "hop": finding.hop,
            "address": finding.address,
            **dict(finding.values),
        }
        return worded({name: str(value) for name, value in given.items() if value is not None}, self.wording)

    def verdict(self) -> Verdict:
        finding = self.conclusion.finding
        others = sorted(self.conclusion.others, key=lambda f: (f.confidence == "possible", f.warning))
        alternatives = [
            Alternative(cause=f.cause, confidence=f.confidence, why=self.summary(f), relation=self.relation(f))
            for f in others[:_MAX_ALTERNATIVES]
        ]
        if finding is None:
            return self.without_finding(alternatives)
        text = self.catalogue.cause(finding.cause).text(self.around.language)
        alternatives += self.left_open(finding, {f.cause for f in others})
        return Verdict(
            outcome="fault",
            cause=finding.cause,
            failed_step=finding.step,
            location=Location(scope=_scope(finding, self.catalogue), hop=finding.hop, address=finding.address),
            confidence=finding.confidence,
            summary=self.summary(finding),
            actions=(*self.actions(finding), *self.seeing()),
            evidence=tuple(self.evidence(finding)),
            alternatives=tuple(alternatives[:_MAX_ALTERNATIVES]),
            title=text.title,
            explanation=text.explanation,
            not_checked=self.not_checked(),
            ways=ways(self.facts, self.conclusion),
        )

    def relation(self, other: Finding) -> Relation:
        """Return how another finding stands to the one that was named."""
        named = self.conclusion.finding
        if named is None or other.confidence == "possible":
            return "rival"
        if named.cause in self.catalogue.judgement.stop_everything and _scope(other, self.catalogue) != _scope(
            named, self.catalogue
        ):
            return "consequence"
        return "further" if other.confidence == "certain" else "rival"

    def not_checked(self) -> tuple[str, ...]:
        """Return what was not looked at and could change the verdict."""
        notes = [
            note("verdict.unseen", title=self.title_of((probe, subject)), probe=probe)
            for probe, subject in self.conclusion.unseen
        ]
        notes += [note("verdict.unseen-rule", cause=cause, error=error) for cause, error in self.conclusion.broken]
        if self.conclusion.outcome == "healthy":
            notes += healthy.not_checked(self.facts)
        return tuple(dict.fromkeys(self.say(one) for one in notes))

    def seeing(self) -> tuple[str, ...]:
        """Return what would let the probes see that a surer verdict lacks."""
        titles = ", ".join(dict.fromkeys(self.title_of(key) for key in self.conclusion.unseen))
        return (self.say(note("verdict.settle-unseen", titles=titles)),) if titles else ()

    def title_of(self, key: Key) -> str:
        """Return the title of the step that a probe belongs to; what none names looks closer at the attempt."""
        step = next((i for i, view in self.views.items() if key in view.probes), "connect")
        return self.catalogue.steps[step].title.in_(self.around.language)

    def evidence(self, finding: Finding) -> list[Evidence]:
        """Return the facts behind a finding."""
        return [Evidence(step=step, fact=self.say(fact)) for step, fact in _once(finding.evidence)]

    def summary(self, finding: Finding) -> str:
        text = self.catalogue.cause(finding.cause).text(self.around.language)
        return fill(text.summary.get(finding.variant, text.summary["default"]), self.values_of(finding))

    def actions(self, finding: Finding) -> tuple[str, ...]:
        text = self.catalogue.cause(finding.cause).text(self.around.language)
        values = self.values_of(finding)
        lines = text.actions.get(finding.variant, text.actions["default"])
        found = tuple(fill(line, values) for line in lines if places(line) <= values.keys())
        if finding.cause != "api-misuse":
            return found
        # The calls to look at are about this very code; only what was found about this very call is nearer.
        calls = self.hints()
        return (*calls, *found) if finding.variant == "default" else (*found, *calls)

    def hints(self) -> tuple[str, ...]:
        """Return what the code's own entry says of the calls to look at."""
        hints = self.catalogue.code(self.request.code).text(self.around.language).developer_hints
        return tuple(self.say(note("verdict.hint", source=hint)) for hint in hints)

    def calls(self) -> tuple[str, ...]:
        """Return the calls to look at where the code tells a state: what to do is the program's to know."""
        return self.hints() if "state" in self.request.about else ()

    def left_open(self, finding: Finding, known: set[str]) -> list[Alternative]:
        """Return the causes that the evidence cannot tell from the finding, with what would."""
        return [
            Alternative(cause=cause, confidence="possible", why=self.say(why))
            for cause, why in finding.also
            if cause not in known
        ]

    def without_finding(self, alternatives: list[Alternative]) -> Verdict:
        outcome = self.conclusion.outcome
        failed_step = None
        open_ = next((f for f in self.conclusion.others if f.unsettles), None)
        if outcome == "healthy":
            said = unnamed.healthy(self.facts)
            actions = [*self.calls(), self.say(note("verdict.healthy-action", code=self.request.code)), *self.seeing()]
        else:
            failed = [i for i, v in self.views.items() if v.status == "failed"]
            failed_step = healthy.stopped_at(open_, failed)
            said, notes = unnamed.inconclusive(self.facts, failed=bool(failed), partly=open_ is not None)
            actions = [*self.calls(), *(self.say(n) for n in notes)]
        tried = "connect" if self.facts.port is not None else "ping-remote"
        transport = self.request.target.transport
        evidence = [
            Evidence(step=tried, fact=self.say(describe.reach(reach, self.facts.port, transport)))
            for reach in self.facts.attempts.reaches()[:3]
            if reach.reading is not Reading.UNTRIED
        ]
        if not evidence or outcome == "inconclusive":
            evidence += [
                Evidence(step=i, fact=self.say(v.summary))
                for i, v in self.views.items()
                if v.status in ("failed", "passed") and i != tried
            ][:4]
        if open_ is not None:
            evidence = self.evidence(open_)
        also = unnamed.further(self.facts, tried, healthy=outcome == "healthy")
        evidence += [Evidence(step=step, fact=self.say(fact)) for step, fact in also]
        return Verdict(
            outcome=outcome,
            cause=None,
            failed_step=failed_step,
            location=None,
            confidence=self.confidence(),
            summary=self.say(said),
            actions=tuple(actions),
            evidence=tuple(evidence),
            alternatives=tuple(alternatives),
            not_checked=self.not_checked(),
            ways=ways(self.facts, self.conclusion),
        )

    def confidence(self) -> Confidence:
        """Return how sure a verdict is that names no cause."""
        if self.conclusion.outcome != "healthy":
            return "possible"
        whole = not self.conclusion.unseen and not self.conclusion.broken
        return healthy.confidence(self.facts) if whole else "likely"

    # -- steps ---------------------------------------------------------------------------------------------

    def step(self, identifier: str) -> Step:
        view = self.views[identifier]
        entry = self.catalogue.steps[identifier]
        line = next(s for s in self.catalogue.checklist(self.request.code) if s.id == identifier)
        behind = [o for key in view.probes if (o := self.facts.observation(*key)) is not None]
        observations: dict[str, list[Any]] = {}
        for observation in behind:
            if observation.result is not None:
                observations.setdefault(observation.probe, []).append(msgspec.to_builtins(observation.result))
        by_hand = None
        if entry.by_hand is not None and view.status == "unavailable":
            values = self._by_hand_values()
            commands = {"linux": entry.by_hand.linux, "windows": entry.by_hand.windows, "macos": entry.by_hand.macos}
            by_hand = {k: fill(v, values) for k, v in commands.items() if places(v) <= values.keys()} or None
        why = self.say(view.why) if view.why is not None else entry.purpose.in_(self.around.language)
        return Step(
            id=identifier,
            title=entry.title.in_(self.around.language),
            status=view.status,
            summary=self.say(view.summary),
            why=why,
            observations=observations,
            duration_ms=max((o.duration_ms for o in behind), default=None),
            origin=line.origin,
            added=line.added,
            by_hand=by_hand,
        )

    def _by_hand_values(self) -> dict[str, str]:
        focus = self.facts.attempts.focus
        given = {
            "host": self.request.target.host,
            "port": self.facts.port,
            "address": focus.address if focus is not None else next(iter(self.facts.targets), None),
            "router": next(iter(self.facts.link.routers), None),
            "service": self.request.target.service,
        }
        return {name: str(value) for name, value in given.items() if value is not None}


def _scope(finding: Finding, catalogue: Catalogue) -> str:
    """Return where a finding lies: mostly its cause can lie in one scope only."""
    return finding.scope or catalogue.cause(finding.cause).scopes[0]


def _once(evidence: tuple[tuple[str, Note], ...]) -> list[tuple[str, Note]]:
    """Drop repeated facts, keeping the order."""
    return list(dict.fromkeys(evidence))
