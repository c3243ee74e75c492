"""One probe of the exporter: a check of one target, or a whole diagnosis, within its deadline."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Final

import msgspec

from probes.base import Context
from troubleshoot.check.file import read_words
from troubleshoot.check.model import Check, Expectation, Http, Status, Tls
from troubleshoot.check.run import Plan, check
from troubleshoot.intake.codes import parse_code
from troubleshoot.intake.target import Target, parse_target
from troubleshoot.knowledge.catalogue import Catalogue
from troubleshoot.options import TIMEOUT_S, Options
from troubleshoot.report import Report
from troubleshoot.run.engine import diagnose

#: What each module expects; the last one carries out the whole checklist whether the target answers or not.
MODULES: Final[dict[str, Expectation | None]] = {
    "connect": Expectation(),
    "tls": Expectation(tls=Tls()),
    "http": Expectation(http=Http()),
    "refused": Expectation(connection="refused"),
    "diagnose": None,
}
#: Prometheus gets its answer so long before it gives up, seconds: as its blackbox exporter does.
_AHEAD_S: Final = 0.5
#: The code that a diagnosis is asked about where the request names none.
_ANY_CODE: Final = "WSAETIMEDOUT"
#: The part of the deadline that the connection may take, and seconds at most; the rest is the diagnosis'.
_ATTEMPT_SHARE: Final = 0.4
_ATTEMPT_MOST_S: Final = 1.5
#: A diagnosis ends so long before the deadline, seconds, so that what it found still counts.
_RESERVE_S: Final = 0.1


class Asked(msgspec.Struct, frozen=True):
    """What is to be probed: ``module`` is one of :data:`MODULES`, ``code`` a code's name."""

    target: Target
    module: str
    code: str | None = None


class Found(msgspec.Struct, frozen=True):
    """What it came to, in words of bounded number; those that nothing is known of are empty."""

    status: Status
    duration_s: float
    reading: str = ""
    cause: str = ""
    scope: str = ""
    hop: str = ""
    failed_step: str = ""
    confidence: str = ""


def asked(target: str, module: str, code: str | None, catalogue: Catalogue) -> Asked:
    """Return what a request asks for; raises :class:`troubleshoot.errors.UserError` where that means nothing."""
    name = parse_code(code, catalogue) if code else None
    if MODULES[module] is None:
        return Asked(parse_target(target, catalogue), module, name)
    return Asked(read_words([target], catalogue)[0].target, module, name)


def deadline_s(header: str | None, most_s: float) -> float:
    """Return how long a probe may take by the scrape's own time-out, ``most_s`` where that is no use."""
    try:
        given = float(header or "")
    except ValueError:
        return most_s
    if not math.isfinite(given) or given <= 0:
        return most_s
    return max(TIMEOUT_S[0], min(most_s, given - min(_AHEAD_S, given / 2)))


async def probe(what: Asked, until_s: float, context: Context) -> Found:
    """Carry out a probe until ``until_s`` (monotonic seconds) at the latest."""
    began = time.monotonic()
    expect = MODULES[what.module]
    if expect is None:
        left_s = max(TIMEOUT_S[0], until_s - began - _RESERVE_S)
        options = Options(timeout_s=left_s)
        report = await diagnose(what.code or _ANY_CODE, what.target, options=options, context=context)
        return _of_report(report, time.monotonic() - began)
    return await _checked(what, expect, until_s, context)


async def _checked(what: Asked, expect: Expectation, until_s: float, context: Context) -> Found:
    began = time.monotonic()
    whole_s = max(TIMEOUT_S[0], until_s - began)
    attempt_s = min(_ATTEMPT_MOST_S, whole_s * _ATTEMPT_SHARE)
    left_s = max(TIMEOUT_S[0], whole_s - attempt_s - _RESERVE_S)
    single = Check(target=what.target, name=what.target.input, expect=expect, timeout_s=attempt_s)
    plan = Plan(options=Options(timeout_s=left_s), code=what.code)
    over = asyncio.Event()
    timer = asyncio.get_running_loop().call_later(whole_s, over.set)
    try:
        report = await check([single], plan, interrupted=over, context=context)
    finally:
        timer.cancel()
    outcome = report.outcomes[0]
    took_s = time.monotonic() - began
    reading = str(outcome.last.reading) if outcome.last else ""
    group = next((each for each in report.groups if each.id == outcome.group), None)
    if group is None:
        return Found(outcome.status, took_s, reading)
    found = _of_report(group.report, took_s)
    return msgspec.structs.replace(
        found, status=outcome.status, reading=reading, confidence=outcome.confidence or found.confidence
    )


def _of_report(report: Report, took_s: float) -> Found:
    verdict = report.verdict
    place = verdict.location
    status = {"healthy": Status.PASSED, "fault": Status.FAILED}.get(verdict.outcome, Status.UNDECIDED)
    return Found(
        status,
        took_s,
        cause=verdict.cause or "",
        scope=place.scope if place else "",
        hop=str(place.hop) if place and place.hop is not None else "",
        failed_step=verdict.failed_step or "",
        confidence=verdict.confidence if verdict.cause else "",
    )
