"""The control group of a process (cgroups(7), the unified hierarchy): filters of packets and calls may hang on it."""

from __future__ import annotations

import os

from probes.base import Context


def path_of(context: Context, process: int | str) -> str | None:
    """Return the group of a process (or of ``self``) as the kernel writes it, ``None`` where that cannot be seen."""
    try:
        lines = context.read_text(f"/proc/{process}/cgroup").splitlines()
    except OSError:
        return None
    return next((line.removeprefix("0::") for line in lines if line.startswith("0::")), None)


def same(context: Context, pid: int) -> bool | None:
    """Whether process ``pid`` is in this process's control group."""
    theirs, ours = path_of(context, pid), path_of(context, "self")
    return None if theirs is None or ours is None else theirs == ours


def join_files(context: Context, pid: int) -> tuple[str, ...]:
    """Return the files of which one moves whoever writes ``0`` to it into the group of process ``pid``.

    Whoever has a ``/sys`` of its own may see no group, while another process does. Empty where this process is in that
    group already.
    """
    group = path_of(context, pid)
    if group is None or same(context, pid) is not False or "/.." in group:
        return ()
    mounts = {process: _mount(context, process) for process in ("self", str(pid), str(os.getppid()), "1")}
    return tuple(
        f"/proc/{process}/root{mount.rstrip('/')}{group.rstrip('/')}/cgroup.procs"
        for process, mount in mounts.items()
        if mount is not None
    )


def _mount(context: Context, process: str) -> str | None:
    """Return where a process finds the whole hierarchy (proc_pid_mountinfo(5))."""
    try:
        mounts = context.read_text(f"/proc/{process}/mountinfo").splitlines()
    except OSError:
        return None
    found = None
    for mount in mounts:
        before, _, after = mount.partition(" - ")
        _number, _parent, _device, top, point, *_ = [*before.split(), "", "", "", "", ""]
        if found is not None and (found == point or found.startswith(f"{point.rstrip('/')}/")):
            found = None  # something else was mounted over it
        if after.startswith("cgroup2 ") and top == "/":
            found = point
    return found
