"""The system's look-up against what the name servers and files hold: ``resolver-misconfigured``, ``lookup-slow``."""

from __future__ import annotations

import re

from probes.base import Note, note
from probes.hosts_file import HostsFileResult
from probes.resolve import Answer, ResolveResult, ServerAnswer
from troubleshoot.facts import DENIALS, SILENCE, Facts, NotYet, Reading, describe, plain
from troubleshoot.judge import service_names
from troubleshoot.judge.evidence.attempt import attempt_evidence
from troubleshoot.judge.model import Evidence, Finding, rule, values
from troubleshoot.judge.names import system_said

_NSSWITCH = "/etc/nsswitch.conf"


@rule("resolver-misconfigured", holds_up="complete")
def resolver_misconfigured(facts: Facts) -> Finding | None:
    """The name is known, and the system's own look-up cannot get at it; or the service's name leads to no port."""
    nameless = service_names.unknown(facts)
    if nameless is not None:
        return nameless
    if not facts.names.has_name:
        return None
    result, hosts = facts.names.resolved(), facts.names.hosts_file()
    if result is None or result.configuration is None:
        return None
    if facts.targets:
        return _elsewhere(facts, result) or _restricted(result)
    return (
        _forbidden(facts, result, hosts)
        or _no_localhost(result, hosts)
        or _malformed(result, hosts)
        or _wrong_order(facts, result, hosts)
        or _passed_over(result)
        or _unexplained(facts, result)
    )


def _known(facts: Facts) -> ServerAnswer | None:
    """An answer with addresses of a server that no other one contradicts."""
    words = [w for s in facts.names.servers if (w := facts.names.word(s)) is not None]
    first = words[0] if words else None
    return first if first is not None and first.answer is Answer.ADDRESSES else None


def _restricted(result: ResolveResult) -> Finding | None:
    """A warning: the name resolves for this user, and would not for others."""
    configuration = result.configuration
    if configuration is None or not configuration.restricted:
        return None
    path = configuration.restricted[0]
    return Finding(
        cause="resolver-misconfigured",
        confidence="likely",
        step="hosts-file" if path.endswith("hosts") else "resolve-name",
        evidence=(("resolve-name", note("fact.file-restricted", path=path)),),
        values=values(name=result.name, file=path),
        variant="restricted",
        warning=True,
    )


def _elsewhere(facts: Facts, result: ResolveResult) -> Finding | None:
    """The system's look-up gives addresses that no name server gave: a cache, an alias or another source has them.

    Servers may share load by another address at every question, so that it is the cause only where theirs answers and
    that of the system does not.
    """
    given = facts.names.other_answers()
    if not given:
        return None
    blocked = facts.attempts.blocked()
    tried = [facts.attempts.decided_reach(a) for a in facts.names.extra_targets] if blocked else []
    living = next((r for r in tried if r.reading is Reading.CONNECTED), None)
    shown = (*((attempt_evidence(facts, facts.attempts.reaches()[0]),) if blocked else ()),)
    return Finding(
        cause="resolver-misconfigured",
        confidence="likely" if living is not None else "possible",
        step="resolve-name",
        evidence=(
            ("resolve-name", note("fact.resolves", name=result.name, addresses=", ".join(facts.targets[:3]))),
            ("resolve-name", note("fact.dns-says", name=result.name, addresses=", ".join(given[:3]))),
            *shown,
            *((attempt_evidence(facts, living),) if living is not None else ()),
        ),
        values=values(
            name=result.name,
            found=facts.targets[0],
            expected=living.address if living is not None else given[0],
            server=next((a.server for a in result.answers if given[0] in a.addresses), None),
        ),
        variant="elsewhere",
        warning=not blocked,
    )


def _forbidden(facts: Facts, result: ResolveResult, hosts: HostsFileResult | None) -> Finding | None:
    """This user may not read what the look-up rests on."""
    paths = list(result.configuration.forbidden if result.configuration is not None else ())
    if hosts is not None and hosts.forbidden and hosts.path not in paths:
        paths.append(hosts.path)
    if not paths:
        return None
    denied = any(
        w.answer in DENIALS for s in facts.names.servers if (w := facts.names.word(s)) is not None and len(paths) == 1
    )
    return Finding(
        cause="resolver-misconfigured",
        confidence="likely" if denied or paths == [_NSSWITCH] else "certain",
        step="hosts-file" if paths[0].endswith("hosts") else "resolve-name",
        evidence=(*(("resolve-name", note("fact.file-forbidden", path=p)) for p in paths), *system_said(result)),
        values=values(name=result.name, file=paths[0]),
        variant="forbidden",
        also=(("name-does-not-exist", note("verdict.open-file-forbidden", path=paths[0])),) if denied else (),
    )


def _no_localhost(result: ResolveResult, hosts: HostsFileResult | None) -> Finding | None:
    """The hosts file lacks the name that every program takes for granted."""
    bare = result.ascii_name.removesuffix(".").lower()
    if bare != "localhost" or hosts is None or hosts.forbidden or (hosts.entries and hosts.used):
        return None
    if hosts.defects:
        return None
    return Finding(
        cause="resolver-misconfigured",
        confidence="certain",
        step="hosts-file" if not hosts.entries else "resolve-name",
        evidence=(
            (
                "hosts-file",
                note("fact.hosts-none", path=hosts.path, name=result.name)
                if hosts.readable
                else note("fact.file-missing", path=hosts.path),
            ),
            *system_said(result),
        ),
        values=values(name=result.name, file=hosts.path),
        variant="localhost" if hosts.readable else "hosts-missing",
    )


def _malformed(result: ResolveResult, hosts: HostsFileResult | None) -> Finding | None:
    """A line of the hosts file holds the name for whoever reads it, and not for the C library."""
    if hosts is None or not hosts.defects or not hosts.used:
        return None
    defect = hosts.defects[0]
    fact = note(
        f"fact.hosts-defect-{defect.kind}",
        path=hosts.path,
        line=defect.line,
    )
    return Finding(
        cause="resolver-misconfigured",
        confidence="certain",
        step="hosts-file",
        evidence=(("hosts-file", fact), *system_said(result)),
        values=values(name=result.name, file=hosts.path, line=defect.line, found=defect.address),
        variant="malformed",
    )


def _wrong_order(facts: Facts, result: ResolveResult, hosts: HostsFileResult | None) -> Finding | None:
    """The ``hosts`` line of nsswitch.conf ends before it comes to the source that knows the name."""
    words = result.configuration.nsswitch_hosts if result.configuration is not None else ()
    if not words:
        return None
    shown: Evidence = (("resolve-name", note("fact.nsswitch", path=_NSSWITCH, found=" ".join(words))),)
    asked = sources(words, result.ascii_name)
    known = _known(facts)
    if known is not None and not {"dns", "resolve"} & asked:
        told: tuple[str, Note] = ("resolve-name", describe.server_answer(known))
        variant_source, found = "dns", known.addresses[0]
    elif hosts is not None and hosts.entries and "files" not in asked:
        entry = hosts.entries[0]
        told = (
            "hosts-file",
            note("fact.hosts-entry", path=hosts.path, line=entry.line, address=entry.address, name=result.name),
        )
        variant_source, found = "files", entry.address
    else:
        return None
    return Finding(
        cause="resolver-misconfigured",
        confidence="certain",
        step="resolve-name",
        evidence=(*shown, told, *system_said(result)),
        values=values(name=result.name, file=_NSSWITCH, service=variant_source, found=found),
        variant="order",
    )


def sources(words: tuple[str, ...], name: str) -> set[str]:
    """Return which sources of a ``hosts`` line are asked for a name that none of the earlier ones has.

    ``[NOTFOUND=return]`` ends the search after a source that was there and did not know the name; the ``_minimal``
    modules for multicast DNS look for names of .local alone and are not there for others (nsswitch.conf(5)).
    """
    asked: set[str] = set()
    last = ""
    for word in words:
        if not word.startswith("["):
            asked.add(word)
            last = word
            continue
        passes = last.endswith("_minimal") and not name.removesuffix(".").lower().endswith(".local")
        ends = re.search(r"(?<!!)\bnotfound=return", word.lower())
        if ends and not passes:
            break
    return asked


def _passed_over(result: ResolveResult) -> Finding | None:
    """A name server that the system does not come to knows the name."""
    knowing = next((a for a in result.beyond if a.answer is Answer.ADDRESSES), None)
    if knowing is None:
        return None
    return Finding(
        cause="resolver-misconfigured",
        confidence="certain",
        step="check-dns",
        evidence=(("check-dns", describe.server_answer(knowing)), *system_said(result)),
        values=values(name=result.name, server=knowing.server, found=knowing.addresses[0], file="/etc/resolv.conf"),
        variant="ignored",
        address=knowing.server,
    )


def _unexplained(facts: Facts, result: ResolveResult) -> Finding | None:
    """The first server that answers knows the name, and the system still has no address for it."""
    known = _known(facts)
    if known is None or result.system is None or not result.system.eai:
        return None
    return Finding(
        cause="resolver-misconfigured",
        confidence="likely",
        step="resolve-name",
        evidence=(("resolve-name", describe.server_answer(known)), *system_said(result)),
        values=values(name=result.name, server=known.server, found=known.addresses[0], eai=result.system.eai),
        variant="default",
    )


@rule("lookup-slow", holds_up="healthy")
def lookup_slow(facts: Facts) -> Finding | None:
    """The look-up takes longer than programs wait, where the code is that of a wait that was too long."""
    result = facts.names.resolve
    if not facts.names.has_name or result is None or not facts.targets or "wait" not in facts.request.about:
        return None
    listed = {plain(e.address) for e in hosts.entries} if (hosts := facts.names.hosts_file()) is not None else set()
    if any(plain(a) in listed for a in facts.targets):
        return None
    system = result.system
    if system is None and facts.names.resolving:
        raise NotYet("resolve")
    if system is None or system.finished:
        return None
    facts.names.resolved()
    first = facts.names.servers[0] if facts.names.servers else None
    dead = [s for s in facts.names.servers if facts.names.server_responds(s) is False]
    half = _half_answered(facts)
    if half is not None:
        return Finding(
            cause="lookup-slow",
            confidence="likely",
            step="resolve-name",
            evidence=(*(("resolve-name", describe.server_answer(a)) for a in half), *system_said(result)),
            values=values(name=result.name, server=half[0].server, kind=half[0].record_type, found=half[1].record_type),
            variant="half",
            address=half[0].server,
        )
    if first is None or first not in dead:
        return None
    silent = [a for a in result.answers if a.server == first][:1]
    return Finding(
        cause="lookup-slow",
        confidence="likely",
        step="resolve-name",
        evidence=(*(("resolve-name", describe.server_answer(a)) for a in silent), *system_said(result)),
        values=values(name=result.name, server=first, servers=", ".join(dead)),
        address=first,
    )


def _half_answered(facts: Facts) -> tuple[ServerAnswer, ServerAnswer] | None:
    """A server's silence to one of A and AAAA beside its answer to the other, for the same name."""
    for server in facts.names.servers:
        answers = facts.names.answers_of(server)
        for silent in (a for a in answers if a.answer in SILENCE):
            same = [a for a in answers if a.name == silent.name and a.answer not in SILENCE]
            heard = next((a for a in same if a.record_type != silent.record_type), None)
            if heard is not None and not any(a.record_type == silent.record_type for a in same):
                return silent, heard
    return None
