"""The kinds of faults that random cases are drawn from, each with the verdict that is due (mutate.py plays them)."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.lab.scenario import Accepted, Expected

#: Codes of connections that stall or break: what lets a connection be made explains no refusal.
STALLS = ("10060", "10054", "10053")
PREFIX_CODES = {"reset": "10054", "close": "10053", "silent": "10060", "full": "10060"}


@dataclass(frozen=True)
class Network:
    """The half of a case that is no fault: how many routers, which family, what else is peculiar and harmless."""

    rng: random.Random
    routers: int
    family: int
    icmp: str
    quirks: tuple[Mapping[str, Any], ...]
    shapes: Mapping[str, Mapping[str, float]]

    @property
    def plain(self) -> bool:
        """Whether every router can be seen and every answer comes: hops can be held to the truth."""
        return self.icmp == "default" and not any(quirk["kind"] == "filter" for quirk in self.quirks)

    def some_router(self, least: int = 1, most: int | None = None) -> int:
        return self.rng.randint(least, self.routers if most is None else most)

    def address(self, name: str = "server") -> str:
        """The address of a machine as a target is written."""
        return f"[{{{name}6}}]" if self.family == 6 else f"{{{name}}}"


@dataclass(frozen=True)
class Truth:
    """What the injector knows: the faults, what the user asks for and what a right verdict says of it."""

    expect: Expected
    faults: tuple[Mapping[str, Any], ...] = ()
    target: str = "{port}"
    accept: tuple[Accepted, ...] = ()
    code: str | None = None
    records: Mapping[str, list[str]] | None = field(default=None)


def blame(network: Network, cause: str, scope: str | None, hop: str | None = None) -> Expected:
    """The verdict that is due; the hop only where nothing peculiar hides it."""
    hop = hop if network.plain else None
    return Expected(outcome="fault", cause=cause, scope=scope, hop=hop, family=network.family)


def blocking(network: Network, node: str, hook: str, action: str) -> Mapping[str, Any]:
    return {"kind": "filter", "node": node, "hook": hook, "action": action, "family": network.family}


def healthy(network: Network) -> Truth:
    return Truth(Expected(outcome="healthy"), target=network.address() + ":{port}")


def no_listener(network: Network) -> Truth:
    expect = blame(network, "no-listener", "remote-host", "server")
    return Truth(expect, ({"kind": "closed-port"},), network.address() + ":{closed_port}")


def firewall_reset(network: Network) -> Truth:
    node = f"router{network.some_router()}"
    hook = network.rng.choice(("forward", "prerouting"))
    expect = blame(network, "firewall-reset", "path", node)
    return Truth(expect, (blocking(network, node, hook, "reset"),), network.address() + ":{port}")


def firewall_reject(network: Network) -> Truth:
    action = network.rng.choice(("port-unreachable", "host-unreachable", "admin-prohibited"))
    node = network.rng.choice((f"router{network.some_router()}", "server"))
    hook, scope = ("input", "remote-host") if node == "server" else ("forward", "path")
    expect = blame(network, "firewall-reject", scope, node)
    return Truth(expect, (blocking(network, node, hook, action),), network.address() + ":{port}")


def firewall_drop(network: Network) -> Truth:
    at = network.some_router(most=network.routers + 1)
    node, hook = ("server", "input") if at > network.routers else (f"router{at}", "forward")
    expect = blame(network, "firewall-drop", None, f"router{min(at, network.routers)}")
    return Truth(expect, (blocking(network, node, hook, "drop"),), network.address() + ":{port}")


def path_broken(network: Network) -> Truth:
    node = f"router{network.some_router()}"
    fault = {**blocking(network, node, "forward", "drop"), "what": "any"}
    expect = blame(network, "path-broken", "path", node)
    return Truth(expect, (fault,), network.address() + ":{port}")


def host_down(network: Network) -> Truth:
    expect = blame(network, "host-down", None)
    return Truth(expect, ({"kind": "off", "node": "server"},), network.address() + ":{port}")


def unused_address(network: Network) -> Truth:
    return Truth(blame(network, "host-down", None), ({"kind": "unused-address"},), network.address("spare") + ":{port}")


def routing_loop(network: Network) -> Truth:
    fault = {"kind": "loop", "router": network.some_router(2), "family": network.family}
    return Truth(blame(network, "routing-loop", "path"), (fault,), network.address() + ":{port}")


def network_unreachable(network: Network) -> Truth:
    node = f"router{network.some_router(most=network.routers - 1)}"
    fault = {"kind": "route", "node": node, "type": network.rng.choice(("missing", "unreachable"))}
    expect = blame(network, "network-unreachable", "path", node)
    return Truth(expect, ({**fault, "family": network.family},), network.address() + ":{port}")


def intercepted(network: Network) -> Truth:
    at = network.some_router()
    expect = blame(network, "connection-intercepted", "path", f"router{at}")
    return Truth(expect, ({"kind": "redirect", "router": at},), network.address() + ":{port}")


def mtu_blackhole(network: Network) -> Truth:
    at, mtu = network.some_router(most=network.routers - 1), network.rng.choice((1280, 1400, 1480))
    link: dict[str, Any] = {"kind": "small-link", "router": at, "mtu": mtu}
    link |= network.rng.choice(({}, {"told": "towards"}, {"way": "back"}))
    faults = ({"kind": "service", "service_kind": "bulk", "node": "server", "port": "{closed_port}"}, link)
    hop = None if "way" in link else f"router{at}"
    expect, code = blame(network, "path-mtu-blackhole", "path", hop), network.rng.choice(STALLS)
    return Truth(expect, faults, network.address() + ":{closed_port}", code=code)


def packet_loss(network: Network) -> Truth:
    fault = {"kind": "loss", "router": network.some_router(), "percent": network.rng.choice((20, 30, 40))}
    expect, code = blame(network, "packet-loss", "path"), network.rng.choice(STALLS)
    unseen = Accepted(
        outcome="healthy",
        who=("nobody",),
        confidence_at_most="likely",
        reason="three connections may all come through, and without leave to ping nothing else is counted",
    )
    return Truth(expect, (fault,), network.address() + ":{port}", accept=(unseen,), code=code)


def family_broken(network: Network) -> Truth:
    fault = blocking(network, f"router{network.some_router()}", "forward", "drop")
    expect = blame(network, "address-family-path-broken", "path")
    return Truth(expect, ({**fault, "what": "any"}, _asked_over_the_other(network)), "{name}:{port}")


def service(network: Network) -> Truth:
    kind = network.rng.choice(("reset", "close", "silent"))
    cause = {"reset": "service-resets", "close": "service-closes", "silent": "service-silent"}[kind]
    port = network.rng.choice(("21", "22", "25")) if kind == "silent" else "{closed_port}"
    fault = {"kind": "service", "service_kind": kind, "node": "server", "port": port}
    expect = blame(network, cause, "remote-host")
    return Truth(expect, (fault,), f"{network.address()}:{port}", code=PREFIX_CODES[kind])


def queue_full(network: Network) -> Truth:
    fault = {"kind": "service", "service_kind": "full", "node": "server", "port": "{closed_port}"}
    same = Accepted(
        outcome="fault",
        cause="firewall-drop",
        scope="remote-host" if network.plain else None,  # a silent router before the host may be what drops
        who=("nobody",),
        confidence_at_most="likely",
        alternatives=("accept-queue-full",),
        reason="without a raw socket a full queue and a filter on the host are both silent",
    )
    expect = blame(network, "accept-queue-full", "remote-host")
    return Truth(expect, (fault,), network.address() + ":{closed_port}", accept=(same,))


def local_firewall(network: Network) -> Truth:
    fault = blocking(network, "client", "output", network.rng.choice(("reset", "port-unreachable", "drop")))
    return Truth(blame(network, "local-firewall", "this-machine"), (fault,), network.address() + ":{port}")


def no_route(network: Network) -> Truth:
    kind = network.rng.choice(("unreachable", "prohibit", "blackhole"))
    fault = {"kind": "route", "node": "client", "type": kind, "family": network.family}
    return Truth(blame(network, "no-route", "this-machine"), (fault,), network.address() + ":{port}")


def router_down(network: Network) -> Truth:
    expect = blame(network, "router-down", "local-network")
    return Truth(expect, ({"kind": "off", "node": "router1"},), network.address() + ":{port}")


def missing_name(network: Network) -> Truth:
    fault = {"kind": "bad-input", "why": "nobody has the name"}
    expect = blame(network, "name-does-not-exist", "name-service")
    return Truth(expect, (fault,), "{missing_name}:{port}", code="11001")


def half_unrouted(network: Network) -> Truth:
    """A router has no route for one of the two families of a name."""
    node = f"router{network.some_router(most=network.routers - 1)}"
    fault = {"kind": "route", "node": node, "type": network.rng.choice(("missing", "unreachable"))}
    expect = blame(network, "address-family-path-broken", "path", node)
    return Truth(expect, ({**fault, "family": network.family}, _asked_over_the_other(network)), "{name}:{port}")


def half_nobody(network: Network) -> Truth:
    """The name's address of one family is nobody's."""
    living, dead = ("{server}", "{spare6}") if network.family == 6 else ("{server6}", "{spare}")
    expect = Expected(outcome="fault", cause="some-addresses-dead", family=network.family)
    cut_off = Accepted(
        outcome="fault",
        cause="address-family-path-broken",
        confidence_at_most="likely",
        alternatives=("some-addresses-dead",),
        reason="where the last router does not report it, the only address of a family may be nobody's or cut off",
    )
    fault = {"kind": "unused-address", "address": dead}
    return Truth(expect, (fault,), "{name}:{port}", accept=(cut_off,), records={"{name}": [living, dead]})


def half_refused(network: Network) -> Truth:
    """The service of a name listens on one family only."""
    hosts = ["0.0.0.0"] if network.family == 6 else ["::"]
    fault = {"kind": "service", "service_kind": "banner", "node": "server", "port": "{closed_port}", "hosts": hosts}
    expect = Expected(outcome="fault", cause="some-addresses-dead", family=network.family)
    return Truth(expect, (fault,), "{name}:{closed_port}", code="10061")


def _asked_over_the_other(network: Network) -> Mapping[str, Any]:
    """The name servers are asked over the family that works."""
    six = "6" if network.family == 4 else ""
    return {"kind": "resolv-conf", "text": f"nameserver {{ns2{six}}}\nnameserver {{ns1{six}}}\n"}


def servers_cut_off(network: Network) -> Truth:
    """Nothing gets to the network of the target, where the only name servers stand, too: no name is looked up."""
    node, seen = (
        f"router{network.some_router()}",
        Accepted(
            outcome="fault",
            cause="nameserver-unreachable",
            confidence_at_most="likely",
            alternatives=("path-broken",),
            reason="two silent servers of one network may be dead themselves; the way to them stands beside that",
        ),
    )
    fault = {"kind": "filter", "node": node, "hook": "forward", "what": "any", "family": 0}
    expect = Expected(outcome="fault", cause="path-broken", scope="path", hop=node if network.plain else None)
    return Truth(
        expect, (fault,), "{name}:{port}", accept=(seen,), code=network.rng.choice(("11001", "11002", "10060"))
    )


def servers_behind_a_dead_router(network: Network) -> Truth:
    """The only router is off, the name servers stand behind it."""
    expect = blame(network, "router-down", "local-network")
    code = network.rng.choice(("11001", "11002", "10060", "10065"))
    return Truth(replace(expect, family=4), ({"kind": "off", "node": "router1"},), "{name}:{port}", code=code)


def servers_without_a_way(network: Network) -> Truth:
    """This machine has no way to the name servers."""
    kind = network.rng.choice(("missing", "unreachable", "prohibit"))
    cause = "no-default-route" if kind == "missing" else "no-route"
    fault = {"kind": "route", "node": "client", "type": kind, "family": 0}
    expect = Expected(outcome="fault", cause=cause, scope="this-machine")
    return Truth(expect, (fault,), "{name}:{port}", code=network.rng.choice(("11002", "10051", "10065")))


def servers_unwell(network: Network) -> Truth:
    """Both name servers fail in one of their ways."""
    mode = network.rng.choice(("refused", "servfail", "formerr", "silent", "closed", "off"))
    cause = {"servfail": "nameserver-failure", "refused": "nameserver-refuses", "formerr": "nameserver-refuses"}
    fault = {"kind": "name-server", "node": "both", "mode": mode}
    expect = Expected(outcome="fault", cause=cause.get(mode, "nameserver-unreachable"), scope="name-service")
    return Truth(expect, (fault,), "{name}:{port}", code=network.rng.choice(("11002", "11003", "10060")))


def beside_a_dead_server(network: Network) -> Truth:
    """One of two name servers is dead, which fails nobody, and the service of the name is closed."""
    server = {"kind": "name-server", "node": "ns2", "mode": network.rng.choice(("silent", "off", "closed", "refused"))}
    expect = Expected(outcome="fault", cause="no-listener", scope="remote-host")
    return Truth(expect, (server, {"kind": "closed-port"}), "{name}:{closed_port}", code="10061")


def wrong_default(network: Network) -> Truth:
    """The preferred one of two default routes leads nowhere."""
    fault = {"kind": "second-default", "family": network.family}
    expect = blame(network, "wrong-route", "this-machine")
    return Truth(expect, (fault,), network.address() + ":{port}", code=network.rng.choice(("10060", "10065", "10051")))


def overlapping_network(network: Network) -> Truth:
    """An interface of this machine claims the target's network."""
    fault = {"kind": "overlap", "family": network.family}
    expect = blame(network, "wrong-route", "this-machine")
    return Truth(expect, (fault,), network.address() + ":{port}", code=network.rng.choice(("10060", "10065")))


def dead_tunnel(network: Network) -> Truth:
    """The way to the target, or to everything, is a tunnel without a far end."""
    fault = {"kind": "dead-tunnel", "family": network.family, "whole": network.rng.random() < 0.5}
    expect = blame(network, "wrong-route", "this-machine")
    return Truth(expect, (fault,), network.address() + ":{port}", code=network.rng.choice(("10060", "10065")))


def dead_next_hop(network: Network) -> Truth:
    """A router on the way is off: the one before it has nobody to pass packets on to."""
    at = network.some_router(2)
    expect = blame(network, "path-broken", "path", f"router{at - 1}")
    either = Accepted(
        outcome="fault",
        cause="host-down",
        confidence_at_most="likely",
        alternatives=("path-broken",),
        reason="with no other machine behind the router, its late report is of the host or of the router before it",
    )
    fault = {"kind": "off", "node": f"router{at}"}
    return Truth(expect, (fault,), network.address() + ":{port}", accept=(either,))


def strays(network: Network) -> Truth:
    """The reverse-path filter drops packets that have nothing to do with a port that a router drops."""
    node = f"router{network.some_router()}"
    noise = {"kind": "stray-packets", "per_second": network.rng.choice((5, 20, 100))}
    expect = blame(network, "firewall-drop", None, node)
    return Truth(expect, (noise, blocking(network, node, "forward", "drop")), network.address() + ":{port}")


#: How often each is drawn, and with how many routers at least.
DRAWN: tuple[tuple[Callable[[Network], Truth], int, int], ...] = (
    (healthy, 5, 1),
    (no_listener, 3, 1),
    (firewall_reset, 4, 1),
    (firewall_reject, 3, 1),
    (firewall_drop, 3, 1),
    (path_broken, 2, 1),
    (host_down, 1, 1),
    (unused_address, 1, 1),
    (routing_loop, 1, 2),
    (network_unreachable, 1, 2),
    (intercepted, 3, 1),
    (mtu_blackhole, 2, 2),
    (packet_loss, 2, 1),
    (family_broken, 2, 1),
    (service, 3, 1),
    (queue_full, 1, 1),
    (local_firewall, 1, 1),
    (no_route, 1, 1),
    (router_down, 1, 1),
    (missing_name, 1, 1),
    (half_unrouted, 2, 2),
    (half_nobody, 2, 1),
    (half_refused, 2, 1),
    (servers_cut_off, 2, 1),
    (servers_behind_a_dead_router, 2, 1),
    (servers_without_a_way, 2, 1),
    (servers_unwell, 2, 1),
    (beside_a_dead_server, 2, 1),
    (wrong_default, 2, 1),
    (overlapping_network, 1, 1),
    (dead_tunnel, 1, 1),
    (dead_next_hop, 2, 2),
    (strays, 1, 1),
)

#: What is wrong with the routes of the client itself: no further one is added.
ROUTED = (no_route, servers_without_a_way, wrong_default, overlapping_network, dead_tunnel, strays)
