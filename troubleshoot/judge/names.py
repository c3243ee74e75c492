"""Rules of the name service: who was asked, who answered, and whether they agree."""

from __future__ import annotations

from probes.base import Note, note
from probes.resolve import Answer, ResolveResult, ServerAnswer, Unfit
from troubleshoot import asks
from troubleshoot.facts import DENIALS, SILENCE, Facts, Reading, describe, family_of, is_loopback, plain
from troubleshoot.judge import way_to_servers
from troubleshoot.judge.evidence.attempt import attempt_evidence
from troubleshoot.judge.model import Evidence, Finding, first_step, rule, values
from troubleshoot.report import Confidence

REFUSALS = frozenset({Answer.REFUSED, Answer.FORMERR, Answer.NOTIMP})
RESOLV_CONF = "/etc/resolv.conf"
#: Where systemd-resolved listens (systemd-resolved.service(8)).
RESOLVED_STUBS = frozenset({"127.0.0.53", "127.0.0.54"})
FAILURES = frozenset({Answer.SERVFAIL, Answer.OTHER_RCODE, Answer.MALFORMED})


def _name(facts: Facts) -> str:
    return facts.request.target.host or ""


def _words(facts: Facts) -> list[ServerAnswer]:
    found = (facts.names.word(server) for server in facts.names.servers)
    return [answer for answer in found if answer is not None]


def _mute(facts: Facts, server: str) -> ServerAnswer | None:
    """The unanswered question of a server that is alive: it waits for an upstream that does not answer it."""
    if not facts.names.server_responds(server) or facts.names.word(server) is not None:
        return None
    return next(iter(facts.names.answers_of(server)), None)


def _said(answers: list[ServerAnswer], step: str = "check-dns") -> tuple[tuple[str, Note], ...]:
    return tuple((step, describe.server_answer(a)) for a in answers)


def system_said(result: ResolveResult) -> tuple[tuple[str, Note], ...]:
    """What the system's resolver came to, where it found no address."""
    if result.system is None:
        return ()
    if not result.system.finished:
        return (("resolve-name", note("fact.system-unfinished", name=result.name)),)
    if result.system.crashed:
        return (("resolve-name", note("fact.system-crashed", name=result.name, signal=result.system.crashed)),)
    if result.system.eai:
        return (("resolve-name", note("fact.system-eai", name=result.name, eai=result.system.eai)),)
    return ()


def _unresolved(facts: Facts) -> ResolveResult | None:
    """The resolution of a name that leads nowhere, else ``None``."""
    return facts.names.resolved() if facts.names.unresolved() else None


@rule("no-nameserver-configured", holds_up="complete")
def no_nameserver_configured(facts: Facts) -> Finding | None:
    """No ``nameserver`` line, and the local host that the resolver then asks does not answer."""
    result = _unresolved(facts)
    if result is None or result.configuration is None or result.configuration.configured:
        return None
    if RESOLV_CONF in result.configuration.forbidden:
        return None  # what is configured is not known
    if any(facts.names.server_responds(s) for s in facts.names.servers):
        return None
    return Finding(
        cause="no-nameserver-configured",
        confidence="certain",
        step=first_step(facts, "check-dns", "resolve-name"),
        evidence=(("check-dns", note("fact.no-nameserver")), *system_said(result)),
        values=values(name=_name(facts)),
    )


@rule("nameserver-unreachable", asks=(asks.names.servers,), holds_up="complete")
def nameserver_unreachable(facts: Facts) -> Finding | None:
    """Servers are configured, and none of them answers any question."""
    result = _unresolved(facts)
    if result is None or result.configuration is None or not result.configuration.configured:
        return None
    asked = {s: facts.names.server_responds(s) for s in facts.names.servers}
    if not asked or any(responds is not False for responds in asked.values()):
        return None
    silent = (
        [next(a for a in facts.names.resolve.answers if a.server == s) for s in asked] if facts.names.resolve else []
    )
    if (cut := way_to_servers.denied(facts) or way_to_servers.broken(facts)) is not None and cut.confidence == "likely":
        return None
    pings = [p for s in asked if (p := facts.path.peek_ping(s)) is not None]
    sure = cut is None and way_to_servers.known(facts, tuple(asked))
    rival = cut.cause if cut is not None else "path-broken"
    closed = all(a.answer is Answer.PORT_CLOSED for a in silent) and all(is_loopback(s) for s in asked)
    stub = closed and all(s in RESOLVED_STUBS for s in asked)
    return Finding(
        cause="nameserver-unreachable",
        confidence="certain" if sure else "likely",
        step=first_step(facts, "check-dns", "resolve-name"),
        evidence=(*_said(silent), *(("check-dns", describe.ping(p)) for p in pings), *system_said(result)),
        values=values(servers=", ".join(asked), server=next(iter(asked)), name=_name(facts)),
        variant="stub" if stub else "local" if closed else "default",
        address=next(iter(asked)),
        also=() if sure else ((rival, note("verdict.open-way-to-servers")),),
    )


@rule("nameserver-partly-down", holds_up="complete")
def nameserver_partly_down(facts: Facts) -> Finding | None:
    """Some configured servers answer and some do not. Where names resolve it is a warning only."""
    if not facts.names.has_name or facts.names.resolved() is None:
        return None
    asked = {s: facts.names.server_responds(s) for s in facts.names.servers}
    dead = [s for s, responds in asked.items() if responds is False]
    if not dead or not any(asked.values()):
        return None
    silent = (
        [next(a for a in facts.names.resolve.answers if a.server == s) for s in dead] if facts.names.resolve else []
    )
    return Finding(
        cause="nameserver-partly-down",
        confidence="certain",
        step=first_step(facts, "check-dns", "resolve-name"),
        evidence=(*_said(silent), *_said(_words(facts))),
        values=values(servers=", ".join(dead), server=dead[0], name=_name(facts)),
        address=dead[0],
        warning="check-dns" not in facts.request.reference_steps or facts.names.unresolved(),
    )


def _denied(facts: Facts, answer: Answer) -> list[ServerAnswer]:
    """The servers' words, where nobody has an address and the first that answers says ``answer``."""
    if _unresolved(facts) is None:
        return []
    words = _words(facts)
    if any(w.answer is Answer.ADDRESSES for w in words):
        return []
    if _known_elsewhere(facts):
        return []
    telling = [w for w in words if w.answer in DENIALS]
    return words if telling and telling[0].answer is answer else []


def _known_elsewhere(facts: Facts) -> bool:
    """Whether the name is held where the system does not get at it: by a server that it passes over, or in a file."""
    result, hosts = facts.names.resolved(), facts.names.hosts_file()
    beyond = result is not None and any(a.answer is Answer.ADDRESSES for a in result.beyond)
    held = hosts is not None and bool(hosts.defects or (hosts.entries and facts.request.family is None))
    return beyond or held


def _agreed(words: list[ServerAnswer], answer: Answer) -> Confidence:
    return "certain" if all(w.answer is answer for w in words) else "likely"


def _asks_devices(result: ResolveResult | None) -> bool:
    """Whether the system also asks by multicast DNS (RFC 6762), where names under .local live."""
    words = result.configuration.nsswitch_hosts if result is not None and result.configuration is not None else ()
    return any(word.startswith("mdns") for word in words)


@rule("name-does-not-exist", holds_up="complete")
def name_does_not_exist(facts: Facts) -> Finding | None:
    """A server denies the name (NXDOMAIN) and none knows it."""
    words = _denied(facts, Answer.NXDOMAIN)
    if not words:
        return None
    first = next(w for w in words if w.answer is Answer.NXDOMAIN)
    if first.aliases:
        return None  # the name is there: what its alias stands for is not
    result = facts.names.resolved()
    own = result is not None and result.own
    bare = _name(facts).removesuffix(".").lower()
    devices = bare.endswith(".local")
    tried = result.candidates if result is not None else ()
    more = (("resolve-name", note("fact.search-tried", names=", ".join(tried))),) if len(tried) > 1 else ()
    return Finding(
        cause="name-does-not-exist",
        # Devices under .local answer for themselves: where nobody asks them, that one is absent is not known.
        confidence="likely" if devices and not _asks_devices(result) else _agreed(words, Answer.NXDOMAIN),
        step="resolve-name",
        evidence=(*_said(words, "resolve-name"), *more),
        values=values(name=_name(facts), server=first.server, file="/etc/nsswitch.conf"),
        variant="own" if own else "devices" if devices else "default" if "." in bare else "undotted",
        address=first.server,
    )


@rule("no-address-record", holds_up="complete")
def no_address_record(facts: Facts) -> Finding | None:
    """The name exists, without an address of the family that was asked for."""
    words = _denied(facts, Answer.NO_DATA)
    if not words:
        return _other_family(facts)
    first = next(w for w in words if w.answer is Answer.NO_DATA)
    if first.aliases and facts.request.family is None:
        return None  # the alias leads to nothing: name-answered-falsely
    family = {4: "IPv4", 6: "IPv6"}.get(facts.request.family or 0, "IPv4/IPv6")
    return Finding(
        cause="no-address-record",
        confidence=_agreed(words, Answer.NO_DATA),
        step="resolve-name",
        evidence=_said(words, "resolve-name"),
        values=values(name=_name(facts), family=family),
        address=first.server,
    )


def _other_family(facts: Facts) -> Finding | None:
    """The hosts file has the name, and no name server was asked or knows it: the family asked for is missing."""
    wanted = facts.request.family
    if wanted is None or _unresolved(facts) is None or _words(facts):
        return None
    hosts = facts.names.hosts_file()
    entries = [e for e in (hosts.entries if hosts is not None and hosts.used else ()) if family_of(e.address) != wanted]
    if hosts is None or not entries:
        return None
    fact = note(
        "fact.hosts-entry", path=hosts.path, line=entries[0].line, address=entries[0].address, name=_name(facts)
    )
    return Finding(
        cause="no-address-record",
        confidence="certain",
        step="resolve-name",
        evidence=(("hosts-file", fact),),
        values=values(name=_name(facts), family=f"IPv{wanted}"),
    )


def _server_trouble(facts: Facts, cause: str, kinds: frozenset[Answer]) -> Finding | None:
    """A server that answers, but with a failure: stops the name where no server does better."""
    if not facts.names.has_name or facts.names.resolved() is None:
        return None
    words = _words(facts)
    troubled = [w for w in words if w.answer in kinds]
    if kinds is FAILURES:
        mute = [w for s in facts.names.servers if (w := _mute(facts, s)) is not None]
        troubled, words = troubled + mute, words + mute
    if not troubled:
        return None
    stopped = facts.names.unresolved() and not any(w.answer in DENIALS or w.answer is Answer.ADDRESSES for w in words)
    first = troubled[0]
    if stopped and words[0] not in troubled:
        return None
    result = facts.names.resolved()
    return Finding(
        cause=cause,
        confidence="certain",
        step=first_step(facts, "check-dns", "resolve-name"),
        evidence=(*_said(words), *(system_said(result) if result else ())),
        values=values(name=_name(facts), server=first.server, found=first.rcode or first.answer.value.upper()),
        address=first.server,
        warning=not stopped and "check-dns" not in facts.request.reference_steps,
    )


def _failing_server(facts: Facts) -> Finding | None:
    """A server that cannot find out; what is no answer to the question at all need not be the server's own."""
    found = _server_trouble(facts, "nameserver-failure", FAILURES)
    word = next((w for w in _words(facts) if found is not None and w.server == found.address), None)
    if found is None or word is None or word.answer is not Answer.MALFORMED:
        return found
    return Finding(
        cause="nameserver-failure",
        confidence="likely",
        step=first_step(facts, "check-dns", "resolve-name"),
        evidence=found.evidence,
        values=values(name=_name(facts), server=word.server),
        variant={
            Unfit.NUMBER: "wrong-id",
            Unfit.QUESTION: "wrong-question",
            Unfit.NO_RESPONSE: "no-response",
            Unfit.UNREADABLE: "unreadable",
        }[word.unfit or Unfit.UNREADABLE],
        address=word.server,
        warning=found.warning,
    )


def _known_failure(facts: Facts) -> Finding | None:
    """A failure with a reason: the rest of an answer cannot be fetched, or a name without a dot is not passed on."""
    if not facts.names.has_name or facts.names.resolved() is None or not facts.names.unresolved():
        return None
    first = next((s for s in facts.names.servers if facts.names.server_responds(s)), None)
    answers = facts.names.answers_of(first) if first is not None else ()
    cut = next((a for a in answers if a.truncated and a.answer in SILENCE), None)
    word = facts.names.word(first) if first is not None else None
    alone = "." not in facts.names.typed and first is not None and is_loopback(first)
    failed = word is not None and word.answer in FAILURES | REFUSALS
    if cut is None and not (alone and failed):
        return None
    shown = cut or word or answers[0]
    return Finding(
        cause="nameserver-failure",
        confidence="certain" if cut is not None else "likely",
        step=first_step(facts, "check-dns", "resolve-name"),
        evidence=_said([shown]),
        values=values(name=_name(facts), server=first, found=shown.rcode or shown.answer.value.upper()),
        variant="truncated" if cut is not None else "one-label",
        address=first,
    )


@rule("nameserver-failure", holds_up="complete")
def nameserver_failure(facts: Facts) -> Finding | None:
    """SERVFAIL and kin: the server is there and cannot find out."""
    return _known_failure(facts) or _failing_server(facts)


@rule("nameserver-refuses", holds_up="complete")
def nameserver_refuses(facts: Facts) -> Finding | None:
    """REFUSED, FORMERR or NOTIMP: the server is there and will not answer."""
    return _server_trouble(facts, "nameserver-refuses", REFUSALS)


@rule("nameservers-disagree", holds_up="complete")
def nameservers_disagree(facts: Facts) -> Finding | None:
    """Servers give different answers for the same question.

    One knows the name and another denies it; or their addresses have nothing in common and only one side's
    addresses work. Different addresses that all work are what load sharing looks like, and no fault.
    """
    if not facts.names.has_name or facts.names.resolved() is None:
        return None
    words = _words(facts)
    knowing = [w for w in words if w.answer is Answer.ADDRESSES]
    denying = [w for w in words if w.answer in DENIALS]
    if knowing and denying:
        warning = not facts.names.unresolved() and "check-dns" not in facts.request.reference_steps
        return _two_answers(facts, _said([*knowing, *denying]), denying[0].server, warning=warning)
    if len(knowing) < 2 or facts.names.hosts_override():
        return None
    sets = {w.server: _addresses(facts, w.server) for w in knowing}
    first, *others = sets.values()
    if all(first & other for other in others):
        return None
    if facts.attempts.blocked():
        return _wrong_addresses(facts, knowing, sets)
    if "check-dns" not in facts.request.reference_steps:
        return None
    dead = any(facts.attempts.decided_reach(a).failed for a in facts.names.extra_targets)
    sure: Confidence = "certain" if dead else "possible"
    return _two_answers(facts, _said(knowing), knowing[-1].server, sure, warning=not dead)


def _wrong_addresses(facts: Facts, knowing: list[ServerAnswer], sets: dict[str, set[str]]) -> Finding | None:
    """The addresses that the system uses do not work, and those of another server do."""
    living = [a for a in facts.names.extra_targets if facts.attempts.decided_reach(a).reading is Reading.CONNECTED]
    if not living:
        return None
    system = {plain(a) for a in facts.targets}
    wrong = next((w for w in knowing if sets[w.server] & system), knowing[0])
    tried = [facts.attempts.reach(a) for a in [*facts.targets[:1], *living[:1]]]
    return _two_answers(facts, (*_said(knowing), *(attempt_evidence(facts, r) for r in tried)), wrong.server)


def _two_answers(
    facts: Facts, evidence: Evidence, server: str, confidence: Confidence = "certain", *, warning: bool = False
) -> Finding:
    """Return ``nameservers-disagree``, lying at ``server``."""
    servers = [w.server for w in _words(facts)]
    return Finding(
        cause="nameservers-disagree",
        confidence=confidence,
        step=first_step(facts, "check-dns", "resolve-name"),
        evidence=evidence,
        values=values(name=_name(facts), servers=", ".join(servers), server=servers[-1]),
        address=server,
        warning=warning,
    )


def _addresses(facts: Facts, server: str) -> set[str]:
    families = {family_of(a) for a in facts.targets}
    return {plain(a) for w in facts.names.answers_of(server) for a in w.addresses if family_of(a) in families}
