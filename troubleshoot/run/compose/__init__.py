"""Compose the report from facts, conclusion and steps: the one place where notes become sentences."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from troubleshoot import __version__
from troubleshoot.facts import Facts
from troubleshoot.judge import Conclusion
from troubleshoot.judge.model import Finding
from troubleshoot.knowledge.catalogue import Catalogue
from troubleshoot.knowledge.kinds import Language
from troubleshoot.report import ErrorCode, Report, TargetInfo, Tool, Vantage
from troubleshoot.run.compose import checklist, verdict
from troubleshoot.run.compose.advice import advice_of, callers_step
from troubleshoot.run.compose.case import Case
from troubleshoot.run.saved import SAVED
from troubleshoot.run.seen import seen_now
from troubleshoot.steps import StepView


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
    around, request = circumstances, facts.request
    conclusion = _placed(conclusion, catalogue)
    advice = advice_of(facts, conclusion.finding, catalogue, around.vantage, around.code_input)
    case = Case(facts, conclusion, views, catalogue, around.language, advice)
    entry = catalogue.code(request.code)
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
            port=facts.port,
            transport=request.target.transport,
            addresses=facts.targets,
            service=request.target.service,
        ),
        reproduction=seen_now(facts, conclusion, catalogue),
        verdict=verdict.of(case),
        steps=(*(checklist.step(case, identifier) for identifier in request.steps), *callers_step(case)),
        probes=tuple(msgspec.to_builtins(o) for o in facts.observations.values()),
        request={key: getattr(request, key) for key in SAVED},
        language=around.language,
        interrupted=around.interrupted,
        packets=around.packets,
        packet_limit=around.packet_limit,
    )


def _placed(conclusion: Conclusion, catalogue: Catalogue) -> Conclusion:
    """Return the conclusion with the scope of each finding: mostly its cause can lie in one only."""

    def placed(finding: Finding) -> Finding:
        return replace(finding, scope=finding.scope or catalogue.cause(finding.cause).scopes[0])

    named = conclusion.finding
    others = tuple(placed(other) for other in conclusion.others)
    return replace(conclusion, finding=placed(named) if named is not None else None, others=others)
