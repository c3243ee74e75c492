"""Advice in the commands of the machine that fails: which system that is, and what cannot be seen from another one.

A Winsock code is met on Windows. Where it was brought to a machine of another system, the checks show the way of that
machine to the target; what to run on the caller's own is said, and what only that one can tell is not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from probes.base import note
from troubleshoot.facts import Facts, is_loopback
from troubleshoot.intake.caller import caller_system
from troubleshoot.intake.target import is_unspecified
from troubleshoot.judge.model import Finding
from troubleshoot.knowledge.catalogue import Catalogue
from troubleshoot.knowledge.kinds import System
from troubleshoot.knowledge.text import fill, places
from troubleshoot.report import Step, Vantage
from troubleshoot.run.compose.case import Advice, Case
from troubleshoot.run.compose.command import forms, in_places, known

_PLATFORMS: dict[str, System] = {"linux": "linux", "windows": "windows", "darwin": "macos"}
NAMES: dict[System, str] = {"linux": "Linux", "windows": "Windows", "macos": "macOS"}


def advice_of(facts: Facts, finding: Finding | None, catalogue: Catalogue, vantage: Vantage, code_input: str) -> Advice:
    """Return for which system to give advice.

    What was asked for with ``--for``, else the system that the form of the code tells; that of this machine where
    the fault lies on it or in what only it uses (its router and name servers), or the target is this machine itself.
    """
    request = facts.request
    here = _PLATFORMS.get(vantage.platform, "linux")
    told = caller_system(code_input, catalogue)
    caller = request.advice_for or told or here
    host = request.target.host
    local = bool(facts.targets) and all(map(facts.machine.is_local, facts.targets))
    own = request.pid is not None or host is None or is_unspecified(host) or is_loopback(host) or local
    cause = catalogue.cause(finding.cause) if finding is not None else None
    mine = (
        finding is not None
        and cause is not None
        and (
            cause.environment
            or (finding.scope or cause.scopes[0]) == "this-machine"
            or (finding.address is not None and is_loopback(finding.address))  # a resolver of this machine, say
        )
    )
    asked = request.advice_for is not None
    system = caller if asked or not (own or mine) else here
    # What only Windows reports was not met here, whichever address it is about.
    foreign = told == "windows" and catalogue.code(request.code).posix is None
    away = caller != here and (asked or foreign or not own)
    return Advice(here=here, system=system, caller=caller, hostname=vantage.hostname, away=away, asked=asked)


def commands(
    lines: Iterable[str], values: Mapping[str, str], case: Case, system: System | None = None
) -> dict[str, str]:
    """Return what stands in the places of ``lines`` that name a command: its forms on the system, quoted."""
    return in_places(case.catalogue, lines, values, system or case.advice.system)


def by_hand(case: Case, identifier: str, system: System) -> list[str]:
    """Return the commands of a system that show the same as a step."""
    command = case.catalogue.steps[identifier].by_hand
    return [] if command is None else forms(case.catalogue, command, known(case.facts), system)


def elsewhere(case: Case) -> str | None:
    """Return that the checks describe this machine's way, and what to run on the caller's, where that is another."""
    request = case.facts.request
    if case.advice.caller == case.advice.here or (request.pid is not None and not case.advice.asked):
        return None
    step = "connect" if case.facts.port is not None else "ping-remote"
    if case.facts.names.has_name and not case.facts.targets:
        step = "resolve-name"
    if request.kind == "local-resource" and (request.target.host is None or request.to_bind):
        step = "port-owner"
    shown = by_hand(case, step, case.advice.caller)
    caller, here = NAMES[case.advice.caller], NAMES[case.advice.here]
    key = "verdict.elsewhere" if shown else "verdict.elsewhere-only"
    return case.say(
        note(key, caller=caller, hostname=case.advice.hostname, here=here, command=f"`{shown[0]}`" if shown else "")
    )


def unseen_on_caller(case: Case) -> bool:
    """Whether the code has causes on the caller's system that cannot be seen from here."""
    return case.advice.away and case.advice.caller == "windows" and bool(_entry_checks(case))


def _entry_checks(case: Case) -> tuple[str, ...]:
    return tuple(check.in_(case.language) for check in case.catalogue.code(case.facts.request.code).windows)


def checks(case: Case) -> Iterator[str]:
    """Yield what may be behind the code on the caller's Windows, each with the command that tells."""
    if not unseen_on_caller(case):
        return
    lines = _entry_checks(case)
    values = known(case.facts)
    values |= commands(lines, values, case, case.advice.caller)
    yield from (fill(line, values) for line in lines if places(line) <= values.keys())


def unseen(case: Case) -> str:
    """Return that what only the caller's machine can tell was not looked at."""
    advice = case.advice
    return case.say(note("verdict.unseen-on-caller", caller=NAMES[advice.caller], here=NAMES[advice.here]))


def callers_step(case: Case) -> Iterator[Step]:
    """Yield the step that only the caller's machine can carry out."""
    if not unseen_on_caller(case):
        return
    summary = unseen(case)
    yield Step(
        id="callers-machine",
        title=case.say(note("verdict.callers-machine")),
        status="unavailable",
        summary=summary,
        why=summary,
        observations={},
        duration_ms=None,
        added=True,
    )
