"""Rules of the program's own calls: codes that come from how it uses the socket interface, or from nothing here."""

from __future__ import annotations

from probes.address import AddressKind
from probes.base import Note, note
from probes.buffers import BuffersResult
from probes.datagram import DatagramResult
from probes.network_subsystem import NetworkSubsystemResult
from probes.path_mtu import PathMtuResult
from troubleshoot import asks
from troubleshoot.facts import Facts, family_of, usage, winsock
from troubleshoot.judge.model import NAMED, Evidence, Finding, first_step, rule, values
from troubleshoot.judge.stack import dead_exchanges

#: Codes that a program gets where it did not start the socket library, or asked for a version that is none.


@rule("no-network-meaning")
def no_network_meaning(facts: Facts) -> Finding | None:
    """The code has no counterpart on a network stack."""
    if facts.request.kind != "no-network-meaning" or "state" in facts.request.about:
        return None
    return Finding(
        cause="no-network-meaning",
        confidence="certain",
        step="api-usage",
        evidence=(("api-usage", note("fact.code-without-meaning", code=facts.request.code)),),
    )


@rule(
    "api-misuse",
    asks=(
        asks.machine.subsystem,
        asks.machine.buffers,
        asks.machine.descriptors,
        asks.machine.broadcast,
        asks.path.mtu,
        asks.path.mtu_alone,
    ),
)
def api_misuse(facts: Facts) -> Finding | None:
    """The code can only come from how the program called the socket API."""
    if "permission" in facts.request.about:
        return _broadcast(facts)
    if "message-size" in facts.request.about:
        return _too_long(facts)
    if "startup" in facts.request.about:
        return _not_started(facts)
    if facts.request.kind != "api-misuse" or "state" in facts.request.about:
        return None  # what goes on, or was cancelled, is nobody's fault
    # A missing destination may come from a name that did not resolve, an invalid argument from a blackhole route:
    # for those codes the network is looked at too, and what it shows outranks this.
    looked = "resolve-name" in facts.request.steps
    if looked and facts.names.has_name and facts.names.unresolved():
        return None
    return Finding(
        cause="api-misuse",
        confidence="likely" if looked else "certain",
        step="api-usage",
        evidence=(("api-usage", note("fact.code-from-calls", code=facts.request.code)), *usage.evidence(facts)),
        also=((("service-closes", note("verdict.open-peer-closed")),) if "established" in facts.request.about else ()),
    )


def _broadcast(facts: Facts) -> Finding | None:
    """The destination is a broadcast address: the kernel refuses it to sockets without SO_BROADCAST (socket(7))."""
    address = next((a for a in facts.targets if facts.machine.kind(a) is AddressKind.BROADCAST), None)
    if address is None:
        return None
    tried = next((o for o in facts.of("datagram") if o.subject.startswith(f"{address} ")), None)
    if tried is not None and (tried.probe, tried.subject) in facts.running:
        facts.wait_for("datagram", tried.subject)
    result = tried.result if tried is not None else None
    seen = isinstance(result, DatagramResult) and result.errno == "EACCES"
    live: Evidence = (("connect", note("fact.broadcast-refused", address=address, errno="EACCES")),) if seen else ()
    return Finding(
        cause="api-misuse",
        confidence="certain" if seen else "likely",
        step="address-valid",
        evidence=(
            ("address-valid", note("fact.address-broadcast", address=address)),
            *live,
            *usage.evidence(facts),
        ),
        variant="broadcast",
        address=address,
    )


def _too_long(facts: Facts) -> Finding | None:
    """A datagram is larger than what fits: the sizes that do fit are measured, the program's own cannot be seen."""
    if facts.names.has_name and facts.names.unresolved():
        return None
    address = next(iter(facts.targets), None)
    if address is None:
        return None
    evidence: list[tuple[str, Note]] = []
    path = facts.get("path-mtu", PathMtuResult, address)
    if path is not None and path.black_hole:
        # Large packets vanish on the way as well: a fault of its own, which raises no such code.
        evidence.append(("path-mtu", note("fact.mtu-blackhole", address=address, mtu=path.mtu or "?")))
    elif path is not None and path.mtu is not None:
        payload = path.largest_udp_payload or "?"
        evidence.append(("path-mtu", note("fact.mtu", address=address, mtu=path.mtu, payload=payload)))
    if path is not None and path.interface_mtu is not None:
        evidence.append(("path-mtu", note("fact.mtu-interface", mtu=path.interface_mtu)))
    most = 65507 if family_of(address) == 4 else 65527
    evidence.append(("api-usage", note("fact.datagram-most", payload=most)))
    memory = facts.get("buffers", BuffersResult)
    if memory is not None and memory.default_send is not None and memory.default_receive is not None:
        evidence.append(
            ("buffers", note("fact.buffers-default", used=memory.default_send, limit=memory.default_receive))
        )
    named = usage.looked_at(facts)
    for held in usage.fitting(facts, named)[:NAMED] if named is not None else ():
        if held.send_buffer is not None and held.receive_buffer is not None:
            sizes = {"used": held.send_buffer, "limit": held.receive_buffer}
            evidence.append(("buffers", note("fact.buffers-own", descriptor=held.descriptor, **sizes)))
    whole = path.largest_udp_payload if path is not None and not path.black_hole else None
    return Finding(
        cause="api-misuse",
        confidence="likely",
        step="api-usage",
        evidence=(*evidence, *usage.evidence(facts)),
        values=values(expected=most, found=whole),
        variant="size" if whole is None else "sizes",
    )


def _not_started(facts: Facts) -> Finding | None:
    """The stack works, so that only the program's own start of the socket library is left."""
    result = facts.get("network-subsystem", NetworkSubsystemResult)
    if result is None or result.loopback_up is False or dead_exchanges(result):
        return None
    works = sum(e.errno is None for e in result.exchanges)
    if result.winsock is not None and winsock.refused(result.winsock):
        return None
    return Finding(
        cause="api-misuse",
        confidence="likely",
        step=first_step(facts, "api-usage", "network-subsystem"),
        evidence=(
            ("network-subsystem", note("fact.loopback-works", count=works)),
            *(("network-subsystem", fact) for fact in (winsock.details(result.winsock) if result.winsock else ())),
            ("api-usage", note("fact.code-from-calls", code=facts.request.code)),
            *usage.evidence(facts),
        ),
        variant="startup",
    )
