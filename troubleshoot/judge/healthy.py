"""Whether a target works, how sure that is, and where the checklist stopped if nothing could be concluded."""

from __future__ import annotations

from collections.abc import Iterable

from probes.base import Note, note
from probes.failure import Failure
from probes.filter_rules import FilterRulesResult
from probes.service import ServiceOutcome, ServiceResult
from probes.transfer import TransferResult
from troubleshoot.facts import Facts, NotYet, Reading, is_loopback, losses, rungs, trials
from troubleshoot.facts.ports import binds
from troubleshoot.facts.rungs import Ending
from troubleshoot.judge.model import Finding
from troubleshoot.report import Confidence

#: What an HTTP server answers that does not understand a request (RFC 9110, section 15.5.1).
_BAD_REQUEST = 400
#: Protocols whose clients begin in the clear and then ask for TLS: RFC 3207, 9051, 2595, 4217, 5804, 4642, 4511, 6120.
_WITH_STARTTLS = frozenset({"smtp", "imap", "pop3", "ftp", "sieve", "nntp", "ldap", "xmpp"})


def works(facts: Facts) -> bool:
    """Whether the target works now and nothing on the checklist is at fault."""
    request = facts.request
    if request.kind == "network" and facts.program.in_other_network():
        return False  # the same address is another one there
    if facts.names.unresolved():
        return False  # whatever else is in order: the name that the program uses leads nowhere
    if request.to_bind:
        return _bound(facts)
    if request.kind in ("network", "name-service"):
        return _reached(facts)
    if request.kind in ("api-misuse", "no-network-meaning"):
        tried = "connection" in request.about and facts.port is not None and request.target.host is not None
        return "state" in request.about and tried and _reached(facts)
    if facts.running:
        raise NotYet("local checks")
    if "connect" in request.steps and facts.targets and not facts.machine.is_local(facts.targets[0]):
        return not _met(facts) and _reached(facts)
    local = any(r.reading is Reading.LOCAL for r in facts.attempts.reaches())
    return not facts.machine.hidden() and not local and not _met(facts) and _bound(facts)


def _met(facts: Facts) -> bool:
    """Whether the code was met at an address that the program may have tried, even one that this machine has no way to.

    One address never speaks for another.
    """
    return any(facts.attempts.is_the_code(facts.attempts.reach(a)) for a in facts.targets)


def _bound(facts: Facts) -> bool:
    """Whether nothing that was tried keeps the address from being bound; of all addresses, one family will do."""
    if facts.running:
        raise NotYet("local checks")
    trials = binds(facts)
    if not trials:
        return not facts.request.to_bind and not facts.machine.hidden()
    # Whoever met that a port is in use was allowed to bind it: that nothing holds it can be seen without.
    lacking = {Failure.ACCESS_DENIED, Failure.NOT_PERMITTED} if "bind-port" in facts.request.about else set()
    fine = any(trial.attempts[0].failure in {None, *lacking} for trial in trials)
    return fine and not facts.machine.hidden()


def _reached(facts: Facts) -> bool:
    if facts.request.kind == "name-service" and facts.port is None:
        return facts.names.is_literal or (facts.names.resolved() is not None and not facts.names.unresolved())
    reaches = facts.attempts.reaches()
    if not reaches:
        if facts.names.resolving or ("services-file", facts.request.target.service or "") in facts.running:
            raise NotYet("resolve")
        return False
    if facts.port is None and any(facts.path.alive(r.address) for r in reaches):
        return not facts.request.needs_port
    for reach in reaches:
        facts.wait_for("address", reach.address)
        facts.attempts.wait_for(reach.address)
        facts.wait_for("flows", facts.endpoint(reach.address))
    failed = [r for r in reaches if r.reading is not Reading.CONNECTED]
    if all(is_loopback(r.address) for r in reaches):
        # A name for both loopback addresses: most programs go on to the other one, unless it is the code they met.
        return len(failed) < len(reaches) and not any(facts.attempts.is_the_code(r) for r in failed)
    return not failed


def confidence(facts: Facts) -> Confidence:
    """How sure it is that a target works that does.

    Certain where the attempt was the one that the code is about, nothing in the record speaks against it, and a loss
    that is too rare to be met now is ruled out by numbers.
    """
    measured = losses.hidden(facts)
    clear = measured is None or losses.clear(facts, measured[1])
    tried = facts.port is not None or facts.request.kind != "network"
    if "service-name" in facts.request.about and facts.request.target.service is None:
        tried = False  # no service name was looked up
    if facts.program.apart() or by_sender(facts):
        tried = False  # tried from here, not where the program stands, or as somebody else
    if "family" in facts.request.about and facts.request.pid is None:
        tried = (
            False  # what socket() was asked for is known to the program alone, and what it may ask for to its sandbox
        )
    if _uncalled(facts):
        tried = False
    bound = binds(facts)
    if bound and all(trial.attempts[0].failure is not None for trial in bound):
        tried = False
    seen = tried and _data_moved(facts) and _often_enough(facts)
    return "certain" if clear and seen and not _contradicted(facts) else "likely"


def _uncalled(facts: Facts) -> bool:
    """Whether the code is one of this machine's means, and nothing was called that could have met it."""
    attempted = any(r.decided for r in facts.attempts.reaches())
    return facts.request.kind == "local-resource" and not binds(facts) and not attempted


def by_sender(facts: Facts) -> bool:
    """Whether this machine has rules for one user or control group, and whose program failed is not known."""
    rules = facts.peek("filter-rules", FilterRulesResult)
    if facts.program.stands():
        return False
    filtered = rules is not None and bool(rules.by_user or rules.by_group)
    return filtered or any(route.by_user for a in facts.targets if (route := facts.link.peek_route(a)) is not None)


def _often_enough(facts: Facts) -> bool:
    """Whether a code that only some connections may bring was held to so many that a limit or one machine would show.

    Towards another network, that is: behind a router one address may be several machines.
    """
    if "now-and-then" not in facts.request.about or facts.port is None or facts.request.target.transport != "tcp":
        return True
    connected = [r.address for r in facts.attempts.reaches() if r.reading is Reading.CONNECTED]
    far = [a for a in connected if (route := facts.link.peek_route(a)) is not None and route.gateway is not None]
    return all(trials.made(facts, a) >= facts.threshold("connections_sure") for a in far[:1])


def _contradicted(facts: Facts) -> bool:
    """Whether an observation of the run speaks of a failure: an address that failed, a service that hung up."""
    if any(reach.failed for reach in facts.attempts.reaches()):
        return True
    bad = {ServiceOutcome.RESETS, ServiceOutcome.CLOSES, ServiceOutcome.TLS_ALERT}
    if facts.service.known:
        bad |= {ServiceOutcome.SILENT, ServiceOutcome.TLS_FAILED}
    return any(isinstance(o.result, ServiceResult) and o.result.outcome in bad for o in facts.of("service"))


def _data_moved(facts: Facts) -> bool:
    """Whether every connection that is spoken of brought a word of the service."""
    # The system answers for a service that hangs, be it on this machine: only its own words show that it is there.
    connected = [r.address for r in facts.attempts.reaches() if r.reading is Reading.CONNECTED]
    return all(_exchanged(facts, address) for address in connected[:1])


def _exchanged(facts: Facts, address: str) -> bool:
    if facts.request.target.transport == "udp":
        return True  # to connect is to be answered
    service = facts.service.peek(address)
    if service is not None and service.outcome in (ServiceOutcome.SPEAKS, ServiceOutcome.TLS_OK):
        return True
    if facts.service.peek_rung(address, rungs.LATE).ending is Ending.WELL:
        return True
    transfer = facts.peek("transfer", TransferResult, facts.endpoint(address))
    return any(trial.received for trial in (transfer.trials if transfer is not None else ()))


def _may_switch_tls_on(facts: Facts) -> bool:
    """Whether the program may go on to switch encryption on within the connection, by a word of the protocol."""
    request = facts.request
    return request.protocol in _WITH_STARTTLS and not request.tls and facts.port is not None


def not_checked(facts: Facts) -> tuple[Note, ...]:
    """Return what a healthy verdict does not speak of."""
    if facts.request.kind == "name-service" and facts.port is None:
        return ()
    notes = []
    if "service-name" in facts.request.about and facts.request.target.service is None:
        notes.append(note("verdict.unchecked-service-name"))
    if _uncalled(facts):
        notes.append(note("verdict.unchecked-call", code=facts.request.code))
    if facts.port is None:
        notes.append(note("verdict.unchecked-port"))
    elif not _data_moved(facts):
        notes.append(note("verdict.unchecked-data"))
    if not _often_enough(facts):
        notes.append(note("verdict.unchecked-often"))
    spoken = (ServiceOutcome.TLS_OK, ServiceOutcome.TLS_ALERT)
    services = [o.result for o in facts.of("service") if isinstance(o.result, ServiceResult)]
    if facts.request.tls and not any(result.outcome in spoken for result in services):
        notes.append(note("verdict.unchecked-tls"))
    pages = [r.http for r in services if r.http is not None and 400 <= r.http.status <= 499]
    if pages:
        key = "verdict.unchecked-bad-request" if pages[0].status == _BAD_REQUEST else "verdict.unchecked-page"
        notes.append(note(key, page=f"{pages[0].status} {pages[0].reason}".strip()))
    if _may_switch_tls_on(facts):
        notes.append(note("verdict.unchecked-starttls", protocol=(facts.request.protocol or "").upper()))
    if by_sender(facts):
        notes.append(note("verdict.unchecked-senders"))
    if facts.request.pid is None:
        notes.append(note("verdict.unchecked-program"))
    return tuple(notes)


def stopped_at(unsettled: Finding | None, failed: Iterable[str]) -> str | None:
    """Return the step that an inconclusive verdict points to: of what keeps it open, else of the steps that failed."""
    if unsettled is not None:
        return unsettled.step
    steps = tuple(failed)
    return "connect" if "connect" in steps else next(iter(steps), None)
