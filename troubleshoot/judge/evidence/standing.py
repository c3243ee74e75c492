"""Which of the processes that hold a listening socket stand still."""

from __future__ import annotations

from probes.base import Note, note
from probes.sockets import Owner, SocketEntry
from troubleshoot.facts import describe

#: What a process does that no signal but SIGCONT, or no signal at all, wakes up (proc_pid_stat(5)).
_STANDS = frozenset({"stopped", "tracing-stop", "disk-sleep", "zombie", "dead"})


def nearest_owner(entry: SocketEntry) -> tuple[Owner | None, bool]:
    """Return the owner to name, one that stands still before others, and whether all of them do."""
    owner = next((o for o in entry.owners if o.state in _STANDS), next(iter(entry.owners), None))
    return owner, owner is not None and all(o.state in _STANDS for o in entry.owners)


def state_of(owner: Owner | None) -> tuple[Note, ...]:
    """Return what an owner does, as a fact; nothing where that was not seen."""
    if owner is None or owner.state is None:
        return ()
    return (note("fact.process-state", process=describe.process(owner.name, owner.pid), state=owner.state),)
