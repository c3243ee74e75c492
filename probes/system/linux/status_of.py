"""What ``/proc/PID`` says of a process: its user, capabilities, filters, label and environment.

Sources: proc_pid_status(5), proc_pid_attr(5), proc_pid_environ(5).
"""

from __future__ import annotations

import msgspec

from probes.base import Context
from probes.system.linux.holders import tame


class ProcessStatus(msgspec.Struct, frozen=True):
    """``users``, ``groups`` are real, effective and saved ids; ids are those of the reader's user namespace.

    ``filtered`` tells of a filter of system calls (seccomp(2)), ``bound`` of ``no_new_privs`` (prctl(2)).
    """

    users: tuple[int, ...]
    groups: tuple[int, ...]
    more_groups: tuple[int, ...]
    capabilities: int
    filtered: bool
    bound: bool = False

    @property
    def user(self) -> int | None:
        """The effective user id."""
        return self.users[1] if len(self.users) > 1 else None


def read(context: Context, process: int | str) -> ProcessStatus | None:
    """Return the status of a process (or of ``self``), ``None`` where there is none or it may not be seen."""
    try:
        text = context.read_text(f"/proc/{process}/status")
    except OSError:
        return None
    fields = {name: rest.split() for name, _, rest in (line.partition(":") for line in text.splitlines())}
    return ProcessStatus(
        users=tuple(int(word) for word in fields.get("Uid", ())),
        groups=tuple(int(word) for word in fields.get("Gid", ())),
        more_groups=tuple(int(word) for word in fields.get("Groups", ())),
        capabilities=int((fields.get("CapEff") or ["0"])[0], 16),
        filtered=fields.get("Seccomp") == ["2"],
        bound=fields.get("NoNewPrivs") == ["1"],
    )


def label(context: Context, process: int | str) -> str | None:
    """Return what a security module calls the process, ``None`` where none does or that may not be seen."""
    try:
        return tame(context.read_text(f"/proc/{process}/attr/current").strip("\0\n ")) or None
    except OSError:
        return None


def environment(context: Context, process: int | str) -> dict[str, str] | None:
    """Return the environment with which the process was started, ``None`` where it may not be seen."""
    try:
        text = context.read_text(f"/proc/{process}/environ")
    except OSError:
        return None
    pairs = (one.partition("=") for one in text.split("\0"))
    return {name: value for name, equals, value in pairs if equals}
