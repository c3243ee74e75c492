"""Tell whether this runs in a container, and whether the failing program is on another network than this one.

Sources: cgroups(7), namespaces(7), the files that Docker, Podman and systemd leave inside (Container Interface of
systemd), the variables that Kubernetes gives to every container.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from probes.base import Context, Probe, sends_nothing
from probes.system import need_linux


class ContainerRequest(msgspec.Struct, frozen=True):
    """``pid`` is the failing program's process, this one where there is none."""

    pid: int | None = None


class ContainerResult(msgspec.Struct, frozen=True):
    """Where a process runs.

    ``engine`` is what the container was made by (``docker``, ``podman``, ``kubernetes``, ``lxc``, ``containerd``,
    ``container`` for others), ``None`` outside of any; ``kubernetes`` whether a cluster's address is in the
    environment. ``other_network`` tells that ``pid`` has another network namespace, so another loopback, than this
    process; ``None`` where that cannot be seen or there is no ``pid``.
    """

    engine: str | None
    kubernetes: bool = False
    other_network: bool | None = None


#: What the path of a process's control group holds, by who makes such paths; the first that fits names the engine.
_GROUPS = (
    ("kubernetes", re.compile(r"kubepods")),
    ("podman", re.compile(r"libpod[-_]")),
    ("docker", re.compile(r"/docker[-/]|docker-[0-9a-f]{12}")),
    ("lxc", re.compile(r"/lxc(?:\.payload)?[./]")),
    ("containerd", re.compile(r"cri-containerd|/containerd/|/default/[0-9a-f]{64}")),
)


async def observe(
    request: ContainerRequest,
    context: Context,
    progress: Callable[[ContainerResult], None],  # noqa: ARG001 - no intermediate result
) -> ContainerResult:
    """Read the control group, what engines leave behind, and the network namespaces."""
    need_linux("container")
    who = "self" if request.pid is None else str(request.pid)
    kubernetes = request.pid is None and "KUBERNETES_SERVICE_HOST" in context.environment()
    engine = _engine(who, request.pid is None, context)
    return ContainerResult(
        "kubernetes" if kubernetes else engine,
        kubernetes or engine == "kubernetes",
        None if request.pid is None else _other_network(request.pid, context),
    )


def _engine(who: str, own: bool, context: Context) -> str | None:
    groups = _text(f"/proc/{who}/cgroup", context)
    named = next((engine for engine, pattern in _GROUPS if pattern.search(groups)), None)
    if named is not None:
        return named
    if not own:  # what the process sees as its root is seen by way of /proc
        return _marked(f"/proc/{who}/root", context)
    return _marked("", context)


def _marked(root: str, context: Context) -> str | None:
    for path, engine in (("/.dockerenv", "docker"), ("/run/.containerenv", "podman"), ("/run/systemd/container", None)):
        try:
            text = context.read_text(f"{root}{path}")
        except OSError:
            continue
        return engine or text.strip()[:20] or "container"
    return None


def _other_network(pid: int, context: Context) -> bool | None:
    try:
        own, other = ((context.root / f"proc/{who}/ns/net").stat() for who in ("self", str(pid)))
    except OSError:
        return None
    return (own.st_dev, own.st_ino) != (other.st_dev, other.st_ino)


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
