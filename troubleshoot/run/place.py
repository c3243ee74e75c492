"""Places to look from that have a name: a network namespace, a container, a pod, another user's account."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from probes.base import Context
from probes.system.linux import namespaces_of
from probes.system.linux.shoes import Account
from troubleshoot.knowledge.text import Refusal

#: Where `ip netns` keeps the namespaces that have a name, and the files that go with them (ip-netns(8)).
_NAMED: Final = "/run/netns"
_FILES: Final = "/etc/netns"
#: What tells of which kind a namespace is, and the kind (<linux/nsfs.h>, <linux/sched.h>).
_NS_GET_NSTYPE: Final = 0xB703
_CLONE_NEWNET: Final = 0x40000000
#: So many letters has the shortest Id of a container that is told.
_SHORT_ID: Final = 12
#: So long may a container engine take to answer, seconds.
_ENGINE_S: Final = 20.0


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where to look from, beside this process's own place. ``name`` is what the report calls it.

    ``command`` would look from there with every right. ``pid`` is a process that stands there; without one, ``network``
    is a file of a network namespace, ``covers`` what is laid over which file, ``root`` a root directory whose files
    count, and ``account`` who asks.
    """

    name: str
    command: str
    pid: int | None = None
    network: str | None = None
    root: str | None = None
    covers: tuple[tuple[str, str], ...] = ()
    account: Account | None = None


def place_of(
    *, netns: str | None, docker: str | None, podman: str | None, pod: str | None, as_user: str | None
) -> Place | None:
    """Return the place that the options name, ``None`` where they name none; raises :class:`Refusal`."""
    inside = [(word, name) for word, name in _words(netns, docker, podman, pod) if name is not None]
    if len(inside) > 1 or (as_user is not None and inside and inside[0][0] != "netns"):
        raise Refusal("usage.option-places")
    command = _as_root(sys.argv)
    found = Place(name="", command=command)
    for word, name in inside:
        if word == "netns":
            found = _namespace(name, command)
        else:
            pid = _in_pod(name) if word == "pod" else _in_container(word, name, command)
            found = Place(name=f"{word} {name}", command=command, pid=pid)
    if as_user is not None:
        named = f"user {as_user}"
        found = replace(found, name=f"{found.name}, {named}" if found.name else named, account=_account(as_user))
    return found if found.name else None


def _words(netns: str | None, docker: str | None, podman: str | None, pod: str | None) -> Iterator[tuple[str, str]]:
    for word, name in (("netns", netns), ("docker", docker), ("podman", podman), ("pod", pod)):
        if name is not None:
            yield word, name


def _as_root(argv: list[str]) -> str:
    """Return the command line of this run as root would type it; root's search path is another one."""
    here = shutil.which(argv[0]) if Path(argv[0]).name == "wsadiag" else None
    start = [str(Path(here).absolute())] if here else [sys.executable, "-m", "troubleshoot"]
    return shlex.join(["sudo", *start, *argv[1:]])


def _namespace(name: str, command: str) -> Place:
    """Return the network namespace of that name, of that process, or of that file."""
    files, given = Path(_FILES, name), "/" in name
    file = Path(name) if given else Path(_NAMED, name)
    named = f"netns {name}"
    if os.path.exists(file):  # noqa: PTH110 - no error for a name that is too long
        if not _is_network(file):
            raise Refusal("usage.place-netns-other", name=name, file=str(file))
        inside = sorted(files.iterdir()) if not given and files.is_dir() else []
        covers = tuple((str(one), f"/etc/{one.name}") for one in inside if Path("/etc", one.name).exists())
        return Place(name=named, command=command, network=str(file), covers=covers)
    if name.isascii() and name.isdigit() and os.path.exists(f"/proc/{name}"):  # noqa: PTH110
        root = f"/proc/{name}/root" if namespaces_of.same_files(Context(), int(name)) is not True else None
        return Place(name=named, command=command, network=f"/proc/{name}/ns/net", root=root)
    known = ", ".join(sorted(one.name for one in Path(_NAMED).iterdir())[:8]) if Path(_NAMED).is_dir() else ""
    raise Refusal("usage.place-netns-known" if known else "usage.place-netns", name=name, known=known)


def _is_network(file: Path) -> bool:
    """Whether a file is a network namespace (ioctl_ns(2)); one that may not be opened is taken for one."""
    import fcntl  # noqa: PLC0415 - POSIX only

    try:
        opened = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError:
        return True
    except OSError:
        return False
    try:
        return fcntl.ioctl(opened, _NS_GET_NSTYPE) == _CLONE_NEWNET
    except OSError:
        return False
    finally:
        os.close(opened)


def _in_container(engine: str, name: str, command: str) -> int:
    """Return the main process of a container, as its engine tells it."""
    if shutil.which(engine) is None:
        raise Refusal("usage.place-no-engine", engine=engine, name=name)
    words = [engine, "container", "inspect", "--", name]
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=_ENGINE_S, encoding="utf-8"
        )
        told = json.loads(done.stdout or "[]")
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise Refusal("usage.place-unknown", engine=engine, name=name, reason=str(error)) from None
    state = _state(told)
    if done.returncode != 0 or state is None:
        lines = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        key = "usage.place-unknown-user" if os.geteuid() else "usage.place-unknown"
        raise Refusal(key, engine=engine, name=name, reason=lines[-1], command=command)
    pid = state.get("Pid")
    if not isinstance(pid, int) or pid <= 0 or not state.get("Running"):
        raise Refusal("usage.place-stopped", name=name, state=str(state.get("Status", "?")), engine=engine)
    if not _is_of(pid, told[0].get("Id")):
        raise Refusal("usage.place-elsewhere", engine=engine, name=name)
    return pid


def _is_of(pid: int, container: Any) -> bool:
    """Whether a process of this machine belongs to a container: an engine may speak for another machine.

    Its Id stands in the names of its control groups, or in the paths of the files that are laid over its own.
    """
    told = (_read(f"/proc/{pid}/{file}") for file in ("cgroup", "mountinfo"))
    return isinstance(container, str) and len(container) >= _SHORT_ID and any(container in text for text in told)


def _state(told: Any) -> dict[str, Any] | None:
    first = told[0] if isinstance(told, list) and told else None
    state = first.get("State") if isinstance(first, dict) else None
    return state if isinstance(state, dict) else None


def _in_pod(name: str) -> int:
    """Return a process of a pod: by its UID, which its control groups bear, or by its name, which is its host name.

    One of its own containers, whose files tell what names lead to; the pause container holds the network alone.
    """
    found: list[tuple[bool, int]] = []
    for entry in (one.name for one in Path("/proc").iterdir() if one.name.isdigit()):
        uid = _pod_uid(entry)
        if uid is not None and name in (uid, _host_name(entry)):
            found.append((_read(f"/proc/{entry}/comm").strip() == "pause", int(entry)))
    if not found:
        raise Refusal("usage.place-pod", name=name)
    return min(found)[1]


def _pod_uid(pid: str) -> str | None:
    """Return the UID of the pod that a process belongs to, by the names that kubelet gives control groups."""
    uid = re.search(r"kubepods\S*?pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32})", _groups(pid))
    return uid[1].replace("_", "-") if uid is not None else None


def _groups(pid: str) -> str:
    return _read(f"/proc/{pid}/cgroup")


def _host_name(pid: str) -> str:
    return _read(f"/proc/{pid}/root/etc/hostname").strip()


def _read(file: str) -> str:
    try:
        with Path(file).open(encoding="utf-8", errors="replace") as opened:
            return opened.read(1 << 16)
    except OSError:
        return ""


def _account(name: str) -> Account:
    import pwd  # noqa: PLC0415 - POSIX only

    try:
        entry = pwd.getpwuid(int(name)) if name.isascii() and name.isdigit() else pwd.getpwnam(name)
    except (KeyError, OverflowError):
        raise Refusal("usage.place-user", name=name) from None
    return Account(entry.pw_uid, entry.pw_gid, tuple(os.getgrouplist(entry.pw_name, entry.pw_gid)))
