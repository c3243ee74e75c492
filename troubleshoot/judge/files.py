"""Entries of local files that lead astray: ``stale-hosts-entry``, ``services-entry-wrong``."""

from __future__ import annotations

from probes.address import AddressKind
from probes.base import note
from probes.hosts_file import HostsFileResult
from probes.resolve import Answer
from troubleshoot.facts import Facts, Reading, describe, plain
from troubleshoot.judge.evidence.attempt import attempt_evidence
from troubleshoot.judge.model import Finding, first_step, rule, values


@rule("stale-hosts-entry")
def stale_hosts_entry(facts: Facts) -> Finding | None:
    """The hosts file leads to an address that fails, and the name service gives another."""
    if not facts.names.has_name or not facts.names.hosts_override():
        return None
    nowhere = bool(facts.targets) and all(facts.machine.kind(a) is AddressKind.UNSPECIFIED for a in facts.targets)
    if not nowhere and not facts.attempts.blocked():
        return None
    result = facts.names.resolved()
    hosts = facts.names.hosts_file()
    if result is None or hosts is None:
        return None
    listed = {plain(e.address) for e in hosts.entries}
    known = {plain(a) for answer in result.answers if answer.answer is Answer.ADDRESSES for a in answer.addresses}
    used = [a for a in facts.targets if plain(a) in listed]
    if not used or any(plain(a) in known for a in used):
        return None
    if not known:
        return _to_nowhere(hosts, used[0], result.name) if nowhere else None
    tried = [facts.attempts.decided_reach(a) for a in facts.names.extra_targets]
    living = [r for r in tried if r.reading is Reading.CONNECTED]
    entry = next(e for e in hosts.entries if plain(e.address) == plain(used[0]))
    expected = (
        living[0].address if living else facts.names.extra_targets[0] if facts.names.extra_targets else min(known)
    )
    return Finding(
        cause="stale-hosts-entry",
        confidence="certain" if living or nowhere else "likely",
        step=first_step(facts, "hosts-file", "resolve-name"),
        evidence=(
            (
                "hosts-file",
                note("fact.hosts-entry", path=hosts.path, line=entry.line, address=entry.address, name=result.name),
            ),
            ("resolve-name", note("fact.dns-says", name=result.name, addresses=", ".join(sorted(known)))),
            *(() if nowhere else (attempt_evidence(facts, facts.attempts.reach(used[0])),)),
            *(attempt_evidence(facts, r) for r in living[:1]),
        ),
        values=values(name=result.name, found=entry.address, expected=expected, line=entry.line, file=hosts.path),
        address=entry.address,
    )


def _to_nowhere(hosts: HostsFileResult, address: str, name: str) -> Finding:
    """The hosts file gives an address that no machine has, and no name server has been heard with a better one."""
    entry = next(e for e in hosts.entries if plain(e.address) == plain(address))
    fact = note("fact.hosts-entry", path=hosts.path, line=entry.line, address=entry.address, name=name)
    return Finding(
        cause="stale-hosts-entry",
        confidence="certain",
        step="hosts-file",
        evidence=(("hosts-file", fact),),
        values=values(name=name, found=entry.address, line=entry.line, file=hosts.path),
        variant="blocked",
        address=entry.address,
    )


@rule("services-entry-wrong")
def services_entry_wrong(facts: Facts) -> Finding | None:
    """The services file gives the service a port that is not the registered one, and that port fails."""
    registered, service = facts.request.service_port, facts.request.target.service
    facts.wait_for("services-file", service or "")
    file = facts.names.services_file()
    if service is None or registered is None or file is None or file.resolved_port in (None, registered):
        return None
    if facts.names.unresolved() or not facts.attempts.blocked():
        return None
    tried = [facts.attempts.decided_reach(a, registered) for a in facts.attempts.usable[:2]]
    living = [r for r in tried if r.reading is Reading.CONNECTED]
    focus = facts.attempts.focus
    entry = next((e for e in file.entries if e.port == file.resolved_port), None)
    return Finding(
        cause="services-entry-wrong",
        confidence="certain" if living else "likely",
        step=first_step(facts, "services-file", "connect"),
        evidence=(
            (
                "services-file",
                note(
                    "fact.services-entry",
                    path=file.path,
                    line=entry.line if entry else "?",
                    service=service,
                    port=file.resolved_port,
                ),
            ),
            *(((attempt_evidence(facts, focus)),) if focus else ()),
            *(("connect", describe.reach(r, registered)) for r in living[:1]),
        ),
        values=values(service=service, found=file.resolved_port, expected=registered, file=file.path),
    )
