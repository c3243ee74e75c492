"""The failing program (``--pid``): what sets it apart from this process, and what was looked at from its place."""

from __future__ import annotations

from probes.base import Note, note
from probes.process import ProcessResult
from probes.sockets import SocketsResult
from troubleshoot.facts.view import Theme


def vantages(pid: int) -> tuple[str, str]:
    """Return the vantages of records made as process ``pid`` would, and from its network alone."""
    return f"pid {pid}", f"network of pid {pid}"


def sockets_subject(pid: int, port: int | None) -> str:
    """Return the subject of a look at the sockets on ``port`` in the network namespace of process ``pid``."""
    return f"{port} of pid {pid}"


class Program(Theme):
    """What sets the failing program apart, as far as it was not looked at from its own place."""

    def _seen(self) -> ProcessResult | None:
        pid = self._view.request.pid
        return None if pid is None else self._view.peek("process", ProcessResult, str(pid))

    def stands(self) -> bool:
        """Whether probes ran as the program: in its namespaces, with its files, as its user."""
        return self._made_at(0)

    def looks(self) -> bool:
        """Whether probes ran in its network namespace."""
        return self._made_at(0) or self._made_at(1)

    def _made_at(self, position: int) -> bool:
        pid = self._view.request.pid
        if pid is None:
            return False
        vantage = vantages(pid)[position]
        return any(record.vantage == vantage for record in self._view.observations.values())

    def in_other_network(self) -> bool:
        """Whether its network is known to be another one than this, which the probes have not seen."""
        seen = self._seen()
        return seen is not None and seen.network is False and not self.looks()

    def apart(self) -> tuple[Note, ...]:
        """Return what sets the program apart and was not made good for; nothing without ``--pid``."""
        pid, seen, stands = self._view.request.pid, self._seen(), self.stands()
        if pid is None:
            return ()
        if seen is None:
            return () if stands else (note("verdict.apart-unknown", pid=pid),)
        found = []
        if seen.network is False and not self.looks():
            found.append(note("verdict.apart-network", pid=pid))
        if seen.files is False and not stands and self._view.request.target.host is not None:
            found.append(note("verdict.apart-files", pid=pid))
        if (seen.user != seen.own_user or seen.users is False) and not stands:
            found.append(note("verdict.apart-user", pid=pid))
        if None in (seen.network, seen.files, seen.users) and not found:
            found.append(note("verdict.apart-unknown", pid=pid))
        if seen.filtered is not False:
            found.append(note("verdict.apart-filter", pid=pid))
        if seen.grouped is False:
            found.append(note("verdict.apart-group", pid=pid))
        if seen.bound:
            found.append(note("verdict.apart-bound", pid=pid))
        if seen.label is not None:
            found.append(note("verdict.apart-label", pid=pid, label=seen.label))
        return tuple(found)

    def place(self) -> tuple[Note, ...]:
        """Return from where was looked, where that is not this process's own place."""
        pid = self._view.request.pid
        if self.stands():
            return (note("fact.looked-as", pid=pid),)
        return (note("fact.looked-from", pid=pid),) if self.looks() else ()

    def sockets(self, port: int | None) -> SocketsResult | None:
        """Return the sockets on ``port`` in the program's network, where that was not joined."""
        pid = self._view.request.pid
        if pid is None:
            return None
        return self._view.get("sockets", SocketsResult, sockets_subject(pid, port))
