"""Answers that lead nowhere that the name's owner meant: ``name-answered-falsely``, ``captive-portal``."""

from __future__ import annotations

import ipaddress

from probes.base import Note
from probes.resolve import ABSENT_NAME, KNOWN_NAME, Answer, ServerAnswer
from troubleshoot.facts import Facts, NotYet, Reading, describe, plain
from troubleshoot.judge.evidence.attempt import attempt_evidence
from troubleshoot.judge.model import Finding, rule, values

#: Extended errors (RFC 8914, sections 4.16 to 4.18) of servers that will not give what they know.
_WITHHELD = ("15 ", "16 ", "17 ")
_NETWORK = frozenset({"network", "name-service"})


def _lie(address: str) -> bool:
    """Whether no other machine can have the address: what blockers give (RFC 1122, section 3.2.1.3)."""
    found = ipaddress.ip_address(plain(address))
    return found.is_unspecified or found.is_loopback


def _giver(facts: Facts) -> ServerAnswer | None:
    """The answer that the target's addresses come from, where a name server and not a file gave them.

    What a server says of names that nobody has comes after it: :class:`NotYet` until then.
    """
    names = facts.names
    if not names.has_name or not names.targets or names.resolve is None or facts.request.kind not in _NETWORK:
        return None
    if names.hosts_override():
        return None
    wanted = {plain(a) for a in names.targets}
    for server in names.servers:
        for answer in names.answers_of(server):
            if wanted & {plain(a) for a in answer.addresses}:
                if names.resolving and not names.controls(server):
                    raise NotYet("resolve")
                return answer
    if names.resolving:
        raise NotYet("resolve")
    return None


def _said(*answers: ServerAnswer) -> tuple[tuple[str, Note], ...]:
    return tuple(("resolve-name", describe.server_answer(a)) for a in answers)


def _gives(facts: Facts, control: ServerAnswer) -> bool:
    """Whether a server gives the target's own address for the control name too."""
    return bool({plain(a) for a in control.addresses} & {plain(a) for a in facts.targets})


@rule("captive-portal", holds_up="healthy")
def captive_portal(facts: Facts) -> Finding | None:
    """The name server gives the target's address for every name, also for one that the whole world knows."""
    given = _giver(facts)
    if given is None or any(_lie(a) for a in given.addresses):
        return None
    controls = facts.names.controls(given.server)
    absent = next((c for c in controls if c.name == ABSENT_NAME and _gives(facts, c)), None)
    if absent is None:
        return None
    if facts.names.resolving and not any(c.name == KNOWN_NAME for c in controls):
        raise NotYet("resolve")
    known = next((c for c in controls if c.name == KNOWN_NAME and _gives(facts, c)), None)
    if known is None:
        return None
    return Finding(
        cause="captive-portal",
        confidence="certain",
        step="resolve-name",
        evidence=_said(given, absent, known),
        values=values(name=facts.request.target.host, server=given.server, found=known.addresses[0]),
        address=given.server,
    )


@rule("name-answered-falsely", holds_up="complete")
def name_answered_falsely(facts: Facts) -> Finding | None:
    """An answer that is not the host: a blocker's address, a wildcard's, an alias whose target is gone."""
    given = _giver(facts)
    if given is None:
        return _withheld(facts) or _dangling(facts)
    return _blocked(facts, given) or _by_search_list(facts, given) or _for_everything(facts, given)


def _withheld(facts: Facts) -> Finding | None:
    """A server says by an extended error that it keeps the answer back."""
    if not facts.names.has_name or facts.names.resolved() is None or not facts.names.unresolved():
        return None
    for server in facts.names.servers:
        word = facts.names.word(server)
        if word is not None and (word.extended_error or "").startswith(_WITHHELD):
            return Finding(
                cause="name-answered-falsely",
                confidence="certain",
                step="resolve-name",
                evidence=_said(word),
                values=values(name=facts.request.target.host, server=server, found=word.extended_error),
                variant="withheld",
                address=server,
            )
    return None


def _dangling(facts: Facts) -> Finding | None:
    """The name is there, as an alias, and what it stands for is not, or has no address of either family."""
    if not facts.names.has_name or facts.names.resolved() is None or not facts.names.unresolved():
        return None
    words = [w for s in facts.names.servers if (w := facts.names.word(s)) is not None]
    first = next((w for w in words if w.answer in (Answer.NXDOMAIN, Answer.NO_DATA)), None)
    if first is None or not first.aliases or any(w.answer is Answer.ADDRESSES for w in words):
        return None
    empty = first.answer is Answer.NO_DATA
    if empty and facts.request.family is not None:
        return None  # what it stands for may have an address of the family that was not asked for
    return Finding(
        cause="name-answered-falsely",
        confidence="certain" if all(w.answer is first.answer for w in words) else "likely",
        step="resolve-name",
        evidence=_said(*words),
        values=values(name=first.name, server=first.server, alias=first.aliases[-1]),
        variant="alias-empty" if empty else "alias",
        address=first.server,
    )


def _blocked(facts: Facts, given: ServerAnswer) -> Finding | None:
    """The server gives an address that no other machine can have."""
    if not all(_lie(a) for a in facts.targets):
        return None
    own = [a for a in facts.targets if not ipaddress.ip_address(plain(a)).is_unspecified]
    if facts.names.resolve is not None and facts.names.resolve.own:
        return None
    if own and not facts.attempts.blocked():
        return None  # a name for this machine itself, which serves it
    return Finding(
        cause="name-answered-falsely",
        # Names for this machine itself are in use, and look the same.
        confidence="likely" if own else "certain",
        step="resolve-name",
        evidence=(*_said(given), *(attempt_evidence(facts, facts.attempts.reach(a)) for a in own[:1])),
        values=values(name=given.name, server=given.server, found=given.addresses[0]),
        variant="loopback" if own else "default",
        address=given.server,
    )


def _by_search_list(facts: Facts, given: ServerAnswer) -> Finding | None:
    """A search domain was added to the name, and the name with it is somebody else's, or anybody's."""
    typed = facts.names.typed
    if given.name == typed or not facts.attempts.blocked():
        return None
    facts.names.resolved()
    absolute = [a for a in facts.names.answers_of(given.server) if a.name == typed]
    known = next((a for a in absolute if a.answer is Answer.ADDRESSES and not _gives(facts, a)), None)
    suffix = given.name.removeprefix(typed)
    wildcard = next((c for c in facts.names.controls(given.server) if c.name.endswith(suffix) and c.addresses), None)
    if known is None and wildcard is None:
        return None
    dotted = "." in typed  # a name without a dot is meant to be completed: by a record of its own, or by the wildcard
    if known is None and not dotted and (wildcard is None or not _gives(facts, wildcard)):
        return None
    tried = [facts.attempts.decided_reach(a) for a in facts.names.extra_targets]
    living = [r for r in tried if r.reading is Reading.CONNECTED]
    reached = tuple(attempt_evidence(facts, r) for r in [*facts.attempts.reaches()[:1], *living[:1]])
    if known is not None:
        return Finding(
            cause="name-answered-falsely",
            confidence="certain" if living else "likely",
            step="resolve-name",
            evidence=(*_said(given, known), *reached),
            values=values(
                name=typed,
                server=given.server,
                found=given.addresses[0],
                alias=given.name,
                domain=suffix[1:],
                expected=known.addresses[0],
            ),
            variant="search",
            address=given.server,
        )
    return Finding(
        cause="name-answered-falsely",
        confidence="certain" if dotted and wildcard is not None and _gives(facts, wildcard) else "likely",
        step="resolve-name",
        evidence=(*_said(given, *absolute[:1], *((wildcard,) if wildcard else ())), *reached),
        values=values(name=typed, server=given.server, found=given.addresses[0], alias=given.name, domain=suffix[1:]),
        variant="wildcard" if dotted else "wildcard-short",
        address=given.server,
    )


def _for_everything(facts: Facts, given: ServerAnswer) -> Finding | None:
    """The server gives the target's address also for a name that nobody can have."""
    absent = next((c for c in facts.names.controls(given.server) if c.name == ABSENT_NAME and _gives(facts, c)), None)
    if absent is None or not facts.attempts.blocked():
        return None
    return Finding(
        cause="name-answered-falsely",
        confidence="likely",
        step="resolve-name",
        evidence=(*_said(given, absent), *(attempt_evidence(facts, r) for r in facts.attempts.reaches()[:1])),
        values=values(name=given.name, server=given.server, found=given.addresses[0]),
        variant="everything",
        address=given.server,
    )
