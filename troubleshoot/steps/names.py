"""The steps about names: resolver, name servers, hosts file, services file."""

from __future__ import annotations

from probes.base import Note, note
from probes.resolve import Answer
from troubleshoot import asks
from troubleshoot.facts import DENIALS, SILENCE, Facts, NotYet, describe, plain
from troubleshoot.report import StepStatus
from troubleshoot.steps.model import StepView, no_name, skipped, step, unavailable


@step("resolve-name")
def resolve_name(facts: Facts) -> StepView:
    """Does the name lead to an address?"""
    if (nameless := no_name(facts)) is not None:
        return nameless
    host = facts.request.target.host or ""
    key = ("resolve", host)
    result = facts.names.resolve
    if facts.targets and result is not None:
        shown = ", ".join(facts.targets[:3]) + (" …" if len(facts.targets) > 3 else "")
        dead = (
            [s for s in facts.names.servers if facts.names.server_responds(s) is False]
            if not facts.names.resolving
            else []
        )
        if dead:
            return StepView(
                "warning", note("fact.resolves-but", name=host, addresses=shown, servers=", ".join(dead)), None, (key,)
            )
        if given := facts.names.other_answers():
            differs = note("fact.resolves-elsewhere", name=host, addresses=shown, found=", ".join(given[:3]))
            return StepView("warning", differs, None, (key,))
        return StepView("passed", note("fact.resolves", name=host, addresses=shown), None, (key,))
    if facts.names.resolved() is None:
        return unavailable(facts, "reason.not-run", key)
    summary = _why_unresolved(facts)
    return StepView("failed", summary, None, (key,))


def _why_unresolved(facts: Facts) -> Note:
    host = facts.request.target.host or ""
    system = facts.names.resolve.system if facts.names.resolve is not None else None
    if system is not None and system.crashed:
        return note("fact.system-crashed", name=host, signal=system.crashed)
    words = [w for s in facts.names.servers if (w := facts.names.word(s)) is not None]
    telling = words or [a for s in facts.names.servers for a in facts.names.answers_of(s)]
    return describe.server_answer(telling[0]) if telling else note("fact.unresolved", name=host)


@step("hosts-file")
def hosts_file(facts: Facts) -> StepView:
    """What does the hosts file say of the name?"""
    if (nameless := no_name(facts)) is not None:
        return nameless
    host = facts.request.target.host or ""
    key = ("hosts-file", host)
    result = facts.names.hosts_file()
    if result is None:
        return unavailable(facts, "reason.not-run", key)
    if not result.readable:
        gone = note("fact.file-forbidden" if result.forbidden else "fact.file-missing", path=result.path)
        return StepView("warning" if facts.targets else "failed", gone, None, (key,))
    if not result.entries:
        return StepView("passed", note("fact.hosts-none", path=result.path, name=host), None, (key,))
    entry = result.entries[0]
    fact = note("fact.hosts-entry", path=result.path, line=entry.line, address=entry.address, name=host)
    known = {plain(a) for w in (facts.names.resolve.answers if facts.names.resolve else ()) for a in w.addresses}
    if known and not known & {plain(e.address) for e in result.entries}:
        differs = note(
            "fact.hosts-differs",
            path=result.path,
            line=entry.line,
            address=entry.address,
            addresses=", ".join(sorted(known)),
        )
        failing = facts.names.hosts_override() and any(facts.attempts.reach(a).failed for a in facts.targets)
        return StepView("failed" if failing else "warning", differs, None, (key,))
    return StepView("passed", fact, None, (key,))


@step("services-file")
def services_file(facts: Facts) -> StepView:
    """Which port does the services file give the service?"""
    service, given = facts.request.service_name, facts.request.target.port
    if service is None and "service-name" not in facts.request.about:
        return skipped("reason.port-given", port=facts.port) if facts.port is not None else skipped("reason.no-port")
    service = service or ""
    key = ("services-file", service)
    if key in facts.running:
        raise NotYet("services-file")
    result = facts.names.services_file()
    if result is None:
        return unavailable(facts, "reason.not-run", key)
    if not result.readable and result.resolved_port is None:
        gone = note("fact.file-missing" if result.missing else "fact.file-forbidden", path=result.path)
        return StepView("failed" if given is None else "warning", gone, None, (key,))
    if not service:
        return skipped("reason.port-given", port=given)
    if result.resolved_port is None:
        registered = facts.request.service_port or given
        fact = note("fact.services-none", path=result.path, service=service, port=registered or "?")
        return StepView("warning", fact, None, (key,))
    expected = facts.request.service_port if given is None else given
    if expected is not None and expected != result.resolved_port:
        fact = note(
            "fact.services-unusual", path=result.path, service=service, port=result.resolved_port, expected=expected
        )
        failing = any(facts.attempts.reach(a).failed for a in facts.attempts.usable)
        return StepView("failed" if failing and given is None else "warning", fact, None, (key,))
    return StepView(
        "passed",
        note("fact.services-usual", path=result.path, service=service, port=result.resolved_port),
        None,
        (key,),
    )


@step("check-dns", asks=(asks.names.servers,))
def check_dns(facts: Facts) -> StepView:
    """Are name servers configured, and do they answer?"""
    if (nameless := no_name(facts)) is not None:
        return nameless
    key = ("resolve", facts.request.target.host or "")
    result = facts.names.resolved()
    if result is None or result.configuration is None:
        return unavailable(facts, "reason.not-run", key)
    if not result.configuration.configured and not any(facts.names.server_responds(s) for s in facts.names.servers):
        status: StepStatus = "failed" if not facts.targets else "warning"
        return StepView(status, note("fact.no-nameserver"), None, (key,))
    asked = {s: facts.names.server_responds(s) for s in facts.names.servers}
    dead = [s for s, ok in asked.items() if ok is False]
    alive = [s for s, ok in asked.items() if ok]
    if dead and not alive:
        return StepView("failed", note("fact.servers-dead", servers=", ".join(dead)), None, (key,))
    trouble = [
        a for s in alive for a in facts.names.answers_of(s) if a.answer not in (Answer.ADDRESSES, *DENIALS, *SILENCE)
    ]
    if dead:
        return StepView(
            "failed", note("fact.servers-partly", dead=", ".join(dead), alive=", ".join(alive)), None, (key,)
        )
    if trouble:
        return StepView("failed", describe.server_answer(trouble[0]), None, (key,))
    return StepView("passed", note("fact.servers-alive", servers=", ".join(alive)), None, (key,))


@step("resolve-other-name")
def resolve_other_name(facts: Facts) -> StepView:
    """Do the name servers answer anything else?"""
    if (nameless := no_name(facts)) is not None:
        return nameless
    key = ("resolve", facts.request.target.host or "")
    result = facts.names.resolved()
    if result is None:
        return unavailable(facts, "reason.not-run", key)
    control = [a for a in result.answers if a.other_name and a.record_type not in ("A", "AAAA")]
    if not control:
        return unavailable(facts, "reason.no-control", key)
    answered = [a for a in control if a.answer not in SILENCE]
    if not answered:
        return StepView("failed", describe.server_answer(control[0]), None, (key,))
    first = answered[0]
    fact = note(
        "fact.control",
        server=first.server,
        name=first.name,
        type=first.record_type,
        rcode=first.rcode or first.answer.value.upper(),
    )
    good = first.rcode in ("NOERROR", "NXDOMAIN") and len(answered) == len(control)
    return StepView("passed" if good else "warning", fact, None, (key,))
