"""Tell whether this, or the failing program, runs in a container, and which engine made it.

Sources: cgroups(7), the files that Docker, Podman and systemd leave inside (Container Interface of
systemd), the variables that Kubernetes gives to every container.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from probes.base import Context, Probe, sends_nothing
from probes.system import need_linux
from probes.system.rights import TO_LOOK, using


class ContainerRequest(msgspec.Struct, frozen=True):
    """``pid`` is the failing program's process, this one where there is none."""

    pid: int | None = None


class ContainerResult(msgspec.Struct, frozen=True):
    """Where a process runs.

    ``engine`` is what the container was made by (``docker``, ``podman``, ``kubernetes``, ``lxc``, ``containerd``,
    ``container`` for others), ``None`` outside of any; ``kubernetes`` whether a cluster's address is in the
    environment.
    """

    engine: str | None
    kubernetes: bool = False


#: What the path of a process's control group holds, by who makes such paths; the first that fits names the engine.
#: A word stands before each expression, which is not even made where that is missing.
_GROUPS = (
    ("kubernetes", "kubepods", r"kubepods"),
    ("podman", "libpod", r"libpod[-_]"),
    ("docker", "docker", r"/docker[-/]|docker-[0-9a-f]{12}"),
    ("lxc", "lxc", r"/lxc(?:\.payload)?[./]"),
    ("containerd", "containerd", r"cri-containerd|/containerd/"),
    ("containerd", "/default/", r"/default/[0-9a-f]{64}"),
)


#: Numbers of the namespaces that a system begins with (include/uapi/linux/nsfs.h, include/linux/proc_ns.h).
_FIRST = {"pid": 0xEFFFFFFC, "cgroup": 0xEFFFFFFB, "uts": 0xEFFFFFFE}


async def observe(
    request: ContainerRequest,
    context: Context,
    progress: Callable[[ContainerResult], None],  # noqa: ARG001 - no intermediate result
) -> ContainerResult:
    """Read the control group, and what engines leave behind."""
    need_linux("container")
    who = "self" if request.pid is None else str(request.pid)
    kubernetes = request.pid is None and "KUBERNETES_SERVICE_HOST" in context.environment()
    engine = _engine(who, request.pid is None, context)
    return ContainerResult("kubernetes" if kubernetes else engine, kubernetes or engine == "kubernetes")


def _engine(who: str, own: bool, context: Context) -> str | None:
    groups = _text(f"/proc/{who}/cgroup", context)
    named = next((one for one, word, pattern in _GROUPS if word in groups and re.search(pattern, groups)), None)
    if named is not None:
        return named
    if _at_home(who, context):
        return None  # the file of an engine may be left in an image that a machine of its own was made from
    # what the process sees as its root is seen by way of /proc
    return _marked("" if own else f"/proc/{who}/root", context)


def _at_home(who: str, context: Context) -> bool:
    """Whether the process is in the namespaces that the system began with, as no container is."""
    for kind, first in _FIRST.items():
        try:
            with using(*TO_LOOK):
                number = (context.root / f"proc/{who}/ns/{kind}").stat().st_ino
            if number != first:
                return False
        except OSError:
            return False
    return True


def _marked(root: str, context: Context) -> str | None:
    for path, engine in (("/.dockerenv", "docker"), ("/run/.containerenv", "podman"), ("/run/systemd/container", None)):
        try:
            text = context.read_text(f"{root}{path}")
        except OSError:
            continue
        return engine or text.strip()[:20] or "container"
    return None


def _text(path: str, context: Context) -> str:
    try:
        return context.read_text(path)
    except OSError:
        return ""


PROBE = Probe(
    name="container",
    request=ContainerRequest,
    result=ContainerResult,
    observe=observe,
    request_for=lambda target: ContainerRequest(target.pid),
    deadline_s=1.0,
    most_packets=sends_nothing,
)
