"""Tell what sets the failing program apart from this one: its namespaces, user and filters."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from probes.base import Context, NotApplicable, Probe, ProbeTarget, sends_nothing
from probes.system import need_linux
from probes.system.blocking import aside
from probes.system.linux import cgroups, namespaces_of, status_of


class ProcessRequest(msgspec.Struct, frozen=True):
    """``pid`` of the process to look at; ``in_group`` tells that what is compared to it entered its control group."""

    pid: int
    in_group: bool = False


class ProcessResult(msgspec.Struct, frozen=True):
    """What of the process ``pid`` is as it is for this process: ``None`` where that cannot be seen.

    ``network``, ``users`` and ``files`` tell whether it shares this process's network namespace, its user namespace,
    and what ``/`` means (its mount namespace and root directory). ``user`` is the effective user id and ``own_user``
    that of this process. ``filtered`` tells whether a seccomp filter limits its system calls and not ours, ``label``
    what a security module (AppArmor, SELinux) calls it where that is another word than ours. ``grouped`` tells whether
    it is in this process's control group, ``bound`` whether it can gain no more rights (``no_new_privs``, which every
    sandbox sets, and others do, too).
    """

    pid: int
    network: bool | None
    users: bool | None
    files: bool | None
    user: int | None
    own_user: int | None
    filtered: bool | None
    label: str | None = None
    grouped: bool | None = None
    bound: bool = False


async def observe(
    request: ProcessRequest,
    context: Context,
    progress: Callable[[ProcessResult], None],  # noqa: ARG001 - some files: there is nothing in between
) -> ProcessResult:
    """Read what ``/proc`` says of it. Raises :class:`NotApplicable` where there is no such process.

    Sources: namespaces(7), proc_pid_status(5), proc_pid_attr(5).
    """
    need_linux("process")
    return await aside(_look, request, context)


def _look(request: ProcessRequest, context: Context) -> ProcessResult:
    pid = request.pid
    theirs, ours = status_of.read(context, pid), status_of.read(context, "self")
    if theirs is None:
        raise NotApplicable("reason.no-such-process", pid=pid)
    label, own_label = status_of.label(context, pid), status_of.label(context, "self")
    return ProcessResult(
        pid=pid,
        network=namespaces_of.same_network(context, pid),
        users=namespaces_of.same(context, pid, "user"),
        files=namespaces_of.same_files(context, pid),
        user=theirs.user,
        own_user=ours.user if ours is not None else None,
        filtered=theirs.filtered and not (ours is not None and ours.filtered),
        label=label if label != own_label else None,
        grouped=request.in_group or cgroups.same(context, pid),
        bound=theirs.bound,
    )


def _request_for(target: ProbeTarget) -> ProcessRequest:
    if target.pid is None:
        raise NotApplicable("reason.needs-pid", probe="process")
    return ProcessRequest(target.pid)


PROBE: Probe[ProcessRequest, ProcessResult] = Probe(
    name="process",
    request=ProcessRequest,
    result=ProcessResult,
    observe=observe,
    request_for=_request_for,
    subject=lambda request: str(request.pid),
    deadline_s=2.0,
    most_packets=sends_nothing,
)
