"""What stands beside a verdict and comes before its own advice: a proxy that leads there, a container. Pure."""

from __future__ import annotations

import ipaddress

from probes.base import Note, note
from probes.container import ContainerResult
from probes.failure import IcmpMeaning
from probes.ftp_data import FtpDataResult
from probes.sockets import SocketsResult
from troubleshoot.facts import Facts, Reading, describe, is_loopback, plain, proxies
from troubleshoot.judge.model import Evidence, Finding

#: Where clusters put their services as they are set up: kubeadm, k3s and RKE2, OpenShift, GKE, EKS.
_SERVICES = tuple(
    ipaddress.ip_network(one)
    for one in ("10.96.0.0/12", "10.43.0.0/16", "172.30.0.0/16", "34.118.224.0/20", "172.20.0.0/16")
)
#: Names of a cluster's own zone (Kubernetes, DNS for Services and Pods).
_SERVICE_NAMES = (".svc", ".svc.cluster.local")
#: Programs of container engines that hold a published port and pass its connections on.
_ENGINES = frozenset({"docker-proxy", "rootlessport", "rootlesskit", "slirp4netns", "pasta", "pasta.avx2", "conmon"})
#: What the bridges of container engines are called.
_BRIDGES = ("docker", "podman", "cni-podman", "cni", "lxcbr", "lxdbr", "nerdctl", "flannel", "cali")
_REFUSED = frozenset({"no-listener", "firewall-reject", "local-firewall", "firewall-reset"})
_CUT = frozenset({"service-closes", "service-resets", "service-silent"})


def advice(facts: Facts, finding: Finding) -> list[Note]:
    """Return what to do before anything that the cause itself advises."""
    notes = _by_proxy(facts, finding)
    engine = _engine(facts)
    if engine is not None and finding.cause in _CUT:
        notes.append(note("verdict.container-published", port=facts.port, process=engine))
    return [*notes, *(_service_address(facts) if finding.cause in _REFUSED else ())]


def afterwards(facts: Facts, finding: Finding) -> list[Note]:
    """Return what is worth a look after that: the host's localhost is not a container's, nor its ports the host's."""
    where, refused = _where(facts), finding.cause in _REFUSED
    if not _own(facts):
        return []
    if refused and where is not None and where.engine:
        return [note("verdict.container-localhost", kind=where.engine)]
    if finding.cause != "no-listener" and not (finding.cause in _CUT and _held_by_nobody_seen(facts)):
        return []
    names = [i.name for i in facts.machine.interfaces() if i.name.startswith(_BRIDGES)]
    return [note("verdict.container-maybe", interface=name) for name in names[:1]]


def healthy(facts: Facts) -> list[Note]:
    """Return what is worth knowing of a target that works: what it does besides, and was not tried."""
    return [note("verdict.ftp-second")] if any(one.port is None for one in _ftp(facts)) else []


def shown(facts: Facts) -> Evidence:
    """Return what was seen of a target that works, besides."""
    found: list[tuple[str, Note]] = []
    for one in _ftp(facts):
        found += [("connect", describe.data_way(way)) for way in one.ways]
        if one.port is None:
            found.append(("connect", note("fact.data-way-hidden")))
    return tuple(found)


def _ftp(facts: Facts) -> list[FtpDataResult]:
    return [o.result for o in facts.of("ftp-data") if isinstance(o.result, FtpDataResult)]


def evidence(facts: Facts, finding: Finding) -> Evidence:
    """Return what shows that, and what else is known of the proxy."""
    shown: list[tuple[str, Note]] = []
    if finding.cause not in ("proxy-unreachable", "proxy-refuses"):
        found = [(way, proxies.known(facts, way)) for way in proxies.ways(facts) if way.usable]
        leading = proxies.leads(facts)
        found += [leading] if leading is not None else []
        shown += [("connect", proxies.told(way, result)) for way, result in found if result is not None]
    where = _where(facts)
    if where is not None and where.engine is not None and _own(facts) and finding.cause in _REFUSED:
        shown.append(("connect", note("fact.in-container", kind=where.engine)))
    engine = _engine(facts)
    if engine is not None and finding.cause in _CUT:
        shown.append(("connect", note("fact.held-by-engine", port=facts.port, process=engine)))
    return tuple(shown)


def _by_proxy(facts: Facts, finding: Finding) -> list[Note]:
    """Say that the proxy leads to the target, where the direct way does not."""
    if finding.cause in ("proxy-unreachable", "proxy-refuses"):
        return []
    found = proxies.leads(facts)
    if found is None or any(r.reading is Reading.CONNECTED for r in facts.attempts.reaches()):
        return []
    way, result = found
    unresolved = not facts.targets and facts.names.has_name
    key = "verdict.by-proxy-exempt" if way.exempt else "verdict.by-proxy"
    if unresolved and not way.exempt and way.kind in ("socks4", "socks5"):
        key = "verdict.by-proxy-name"
    elif result.asked != proxies.asked_for(facts, way):
        key = "verdict.by-proxy-address"
    where = describe.endpoint(way.host or "?", way.port)
    return [note(key, proxy=where, variable=way.variable, address=result.asked)]


def _service_address(facts: Facts) -> list[Note]:
    """Say that the target looks like a service of a cluster, which is refused where nothing stands behind it."""
    focus, host = facts.attempts.focus, (facts.request.target.host or "").rstrip(".").lower()
    if focus is None or focus.reading not in (Reading.ICMP, Reading.RESET, Reading.LOCAL):
        return []
    if host.endswith(_SERVICE_NAMES):
        return [note("verdict.service-name", name=host)]
    by_port = focus.icmp is None or focus.icmp.meaning is IcmpMeaning.PORT_UNREACHABLE
    address = ipaddress.ip_address(plain(focus.address))
    if by_port and any(address in network for network in _SERVICES) and not facts.machine.is_local(focus.address):
        return [note("verdict.service-address", address=focus.address)]
    return []


def _where(facts: Facts) -> ContainerResult | None:
    return facts.peek("container", ContainerResult)


def _own(facts: Facts) -> bool:
    """Whether the target is this machine's loopback."""
    return bool(facts.targets) and all(is_loopback(address) for address in facts.targets)


def _held_by_nobody_seen(facts: Facts) -> bool:
    """Whether the target's port is held here by a program that this user may not see."""
    sockets = facts.peek("sockets", SocketsResult, str(facts.port))
    return sockets is not None and any(entry.owner_hidden for entry in sockets.entries)


def _engine(facts: Facts) -> str | None:
    """Return the program of a container engine that holds the target's port here."""
    sockets = facts.peek("sockets", SocketsResult, str(facts.port))
    for entry in sockets.entries if sockets is not None and facts.port is not None else ():
        for owner in entry.owners:
            if (owner.name or "") in _ENGINES:
                return describe.process(owner.name, owner.pid)
    return None
