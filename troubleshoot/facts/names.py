"""The target's name: what it stands for, what was asked of whom, and what the local files say of it."""

from __future__ import annotations

import functools

from probes.hosts_file import HostsFileResult
from probes.resolve import Answer, ResolveResult, ServerAnswer
from probes.services_file import ServicesFileResult
from troubleshoot.facts.address import (
    endpoint_subject,
    family_of,
    is_loopback,
    plain,
)
from troubleshoot.facts.view import Theme, once
from troubleshoot.intake.target import unmapped

#: More addresses of one name than this are not looked at.
MAX_ADDRESSES = 8
#: Addresses that only the name servers know are tried beside those of the system; at most this many.
MAX_EXTRA = 3
#: Answers that are none: the server (or the way to it) kept silent or said that it is not there.
SILENCE = frozenset({Answer.NO_ANSWER, Answer.PORT_CLOSED, Answer.UNREACHABLE})
#: Answers that the name, or an address of it, does not exist.
DENIALS = frozenset({Answer.NXDOMAIN, Answer.NO_DATA})
#: How much an answer to a question says: that the name is not there is true of every kind of address, that it has no
#: address of one kind is less than a failure to find out about the other.
_RANKS = {Answer.ADDRESSES: 0, Answer.NXDOMAIN: 1, Answer.NO_DATA: 3}


class Names(Theme):
    """The target's name: what it stands for, what was asked of whom, and what the local files say of it."""

    @property
    def is_literal(self) -> bool:
        """Whether the target's host is an address."""
        return self._view.request.target.host is not None and self._view.request.target.literal

    @property
    def has_name(self) -> bool:
        """Whether there is a name to resolve."""
        return self._view.request.target.host is not None and not self._view.request.target.literal

    @functools.cached_property
    def resolve(self) -> ResolveResult | None:
        """The name's resolution as far as it is known."""
        return self._view.peek("resolve", ResolveResult, self._view.request.target.host or "")

    @property
    def resolving(self) -> bool:
        """Whether the resolution still runs."""
        return ("resolve", self._view.request.target.host or "") in self._view.running

    def resolved(self) -> ResolveResult | None:
        """Return the final resolution; raises :class:`NotYet` while it runs."""
        return self._view.get("resolve", ResolveResult, self._view.request.target.host or "")

    def unresolved(self) -> bool:
        """Return whether the target is a name that does not lead to an address (:class:`NotYet` while unknown)."""
        if not self.has_name or self.targets:
            return False
        return self.resolved() is not None

    @functools.cached_property
    def targets(self) -> tuple[str, ...]:
        """The addresses that a program would try, in its order."""
        host = self._view.request.target.host
        wanted = self._view.request.family
        if host is None:
            here = ("127.0.0.1", "::1") if self._view.request.of_this_machine and self.port is not None else ()
            return tuple(a for a in here if wanted in (None, family_of(a)))
        if self._view.request.target.literal:
            return (host,)
        if self.resolve is None:
            return ()
        addresses = dict.fromkeys(map(unmapped, self.resolve.addresses))
        return tuple(a for a in addresses if wanted in (None, family_of(a)))[:MAX_ADDRESSES]

    @functools.cached_property
    def extra_targets(self) -> tuple[str, ...]:
        """Addresses that name servers give for the name and the system does not use (hosts file, disagreement)."""
        if not self.has_name or self.resolve is None or not self.targets:
            return ()
        known = {plain(a) for a in self.targets}
        families = {family_of(a) for a in self.targets}
        found: list[str] = []
        for answer in self.resolve.answers:
            for address in map(unmapped, answer.addresses):
                if family_of(address) in families and plain(address) not in known and address not in found:
                    found.append(address)
        return tuple(found[:MAX_EXTRA])

    @functools.cached_property
    def destinations(self) -> tuple[str, ...]:
        """Where packets have to go first: the target's addresses, or without any the name servers."""
        if self.targets:
            return self.targets
        asked = {*(a.server for a in (self.resolve.answers if self.resolve else ())), *self.awaited}
        return tuple(s for s in self.servers if s in asked and not is_loopback(s))

    @property
    def port(self) -> int | None:
        """The port that a program would use: as given, or as the services file resolves the service name."""
        target = self._view.request.target
        if target.port is not None or target.service is None:
            return target.port
        file = self.services_file()
        if file is not None and file.resolved_port is not None:
            return file.resolved_port
        if ("services-file", target.service) in self._view.running or file is None:
            return None
        return self._view.request.service_port

    def services_file(self) -> ServicesFileResult | None:
        """Return what the services file says of the target's service."""
        return self._view.peek("services-file", ServicesFileResult, self._view.request.service_name or "")

    def service_unknown(self) -> bool:
        """Whether the target's service name leads to no port here; the code is about nothing else."""
        request, file = self._view.request, self.services_file()
        asked = "service-name" in request.about and request.target.service is not None
        return asked and file is not None and file.resolved_port is None

    def hosts_file(self) -> HostsFileResult | None:
        """Return what the hosts file says of the target's name."""
        return self._view.get("hosts-file", HostsFileResult, self._view.request.target.host or "")

    def hosts_override(self) -> bool:
        """Whether the hosts file, and not the name service, gave the target's address."""
        if not self.has_name:
            return False
        hosts = self.hosts_file()
        if hosts is None or not hosts.used or not hosts.entries:
            return False
        listed = {plain(e.address) for e in hosts.entries}
        return any(plain(a) in listed for a in self.targets)

    def other_answers(self) -> tuple[str, ...]:
        """Return what the name servers give for the name, where the system's look-up gives none of it.

        Empty where it agrees, where the hosts file has the name, and where either has no address of a family that the
        other has.
        """
        system = self.resolve.system if self.resolve is not None else None
        if self.resolve is None or system is None or not system.addresses or self.resolve.own or self.hosts_override():
            return ()
        given = tuple(dict.fromkeys(unmapped(a) for answer in self.resolve.answers for a in answer.addresses))
        asked = {a for answer in self.resolve.answers if not answer.other_name for a in map(unmapped, answer.addresses)}
        ours = {plain(unmapped(a)) for a in system.addresses}
        if any(plain(a) in ours for a in asked):
            return ()
        families = {family_of(a) for a in ours}
        return tuple(a for a in given if a in asked and family_of(a) in families)

    @property
    def servers(self) -> tuple[str, ...]:
        """The configured name servers' addresses."""
        if self.resolve is None or self.resolve.configuration is None:
            return ()
        return self.resolve.configuration.servers

    @property
    def awaited(self) -> tuple[str, ...]:
        """The name servers that have been asked for a while and have said nothing yet."""
        return self.resolve.awaited if self.resolve is not None else ()

    @once
    def answers_of(self, server: str) -> tuple[ServerAnswer, ...]:
        """Return the answers of one server to the name itself (not the control question)."""
        return tuple(
            a for a in (self.resolve.answers if self.resolve else ()) if a.server == server and not a.other_name
        )

    @property
    def typed(self) -> str:
        """The full name that was given, without what a search list adds."""
        return self.resolve.ascii_name.removesuffix(".") if self.resolve is not None else ""

    @once
    def word(self, server: str) -> ServerAnswer | None:
        """Return the answer of a server that counts: an address, or what it says of the name as typed.

        So does the system's resolver: what is said of a search list's variants only counts where the name itself was
        not asked for. ``None`` where nothing was answered, or not to that question.
        """
        asked = self.answers_of(server)
        found = next((a for a in asked if a.answer is Answer.ADDRESSES), None)
        if found is not None:
            return found
        asked = tuple(a for a in asked if a.name == self.typed) or asked
        said = [a for a in asked if a.answer not in SILENCE]
        best = min(said, key=lambda a: _RANKS.get(a.answer, 2), default=None)
        if (
            best is not None
            and best.answer is Answer.NO_DATA
            and {a.record_type for a in asked if a not in said} - {a.record_type for a in said}
        ):
            return None  # there is no address of the other kind, and this one is not known
        return best

    def controls(self, server: str) -> tuple[ServerAnswer, ...]:
        """Return what a server says of names that were only asked for to see what it answers (A and AAAA)."""
        answers = self.resolve.answers if self.resolve is not None else ()
        return tuple(a for a in answers if a.server == server and a.other_name and a.record_type in ("A", "AAAA"))

    @once
    def server_responds(self, server: str) -> bool | None:
        """Whether the server answered anything at all; ``None`` where nothing was asked of it."""
        answers = [a for a in (self.resolve.answers if self.resolve else ()) if a.server == server]
        if not answers:
            return None
        return any(a.answer not in SILENCE for a in answers)

    def endpoint(self, address: str) -> str:
        """Return the subject of a probe of the target's port at ``address``."""
        return endpoint_subject(address, self.port)
