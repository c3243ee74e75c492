"""Random pairs of a fault and a topology, drawn from a seed; the injector's truth against the program's verdict.

    python tests/lab/mutate.py [--seed S] [--count N] [--jobs N] [--case I] [--save DIR]

A case is drawn from the seed and its own number alone: what fails is repeated by the command that is printed with it.
Every verdict counts as *right*, *abstained* (inconclusive, or a cause that is called no more than possible), *wrong*,
*false accusation* (a healthy network called faulty, and more than possibly so), *crashed* or *unverified* (the fault
did not show, which says nothing of the program). Exit status 1 where anything but the first two occurred; 77, skipped,
where no lab can be built.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.lab.matrix import fold
from tests.lab.play import Outcome
from tests.lab.run import SKIPPED, attempt, enter, line
from tests.lab.scenario import Accepted, Expected, Scenario

CODES = ("10060", "10061", "10065", "10054", "10053", "10051")
#: Codes of connections that stall or break: what lets a connection be made explains no refusal.
STALLS = ("10060", "10054", "10053")
GRADES = ("right", "abstained", "wrong", "false-accusation", "crashed", "unverified")
MAX_ROUTERS = 7
#: Faults that the lab checks by pings, so that no peculiarity may swallow these.
PINGED = ("host-down", "router-down", "packet-loss", "path-mtu-blackhole")
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
        return not self.quirks and self.icmp == "default"

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
    return Truth(expect, (fault,), network.address() + ":{port}", code=code)


def family_broken(network: Network) -> Truth:
    fault = blocking(network, f"router{network.some_router()}", "forward", "drop")
    six = "6" if network.family == 4 else ""  # the name servers are asked over the family that works
    servers = f"nameserver {{ns2{six}}}\nnameserver {{ns1{six}}}\n"
    expect = blame(network, "address-family-path-broken", "path")
    return Truth(expect, ({**fault, "what": "any"}, {"kind": "resolv-conf", "text": servers}), "{name}:{port}")


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
        scope="remote-host",
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
)


def draw_case(seed: int, number: int) -> tuple[Scenario, str]:
    """Return case ``number`` of ``seed`` and who runs it; the same arguments give the same case."""
    rng = random.Random(f"mutation {seed} {number}")
    make, _, least = rng.choices(DRAWN, [weight for _, weight, _ in DRAWN])[0]
    routers = rng.randint(least, MAX_ROUTERS)
    shapes: dict[str, dict[str, float]] = {}
    if rng.random() < 0.4:
        delay = rng.choice((2.0, 10.0, 40.0))
        shapes["client"] = {"delay_ms": delay, "jitter_ms": delay / 4 if rng.random() < 0.5 else 0.0}
    quirks: list[Mapping[str, Any]] = []
    if rng.random() < 0.15:
        node = f"router{rng.randint(1, routers)}"
        quirks.append({"kind": "filter", "node": node, "hook": "output", "what": "icmp-errors"})
    if rng.random() < 0.15:
        quirks.append({"kind": "filter", "node": "server", "hook": "input", "what": "echo"})
    network = Network(
        rng=rng,
        routers=routers,
        family=rng.choice((4, 6)),
        icmp=rng.choice(("default", "default", "default", "strict")),
        quirks=tuple(quirks),
        shapes=shapes,
    )
    truth = make(network)
    if truth.expect.cause in PINGED:
        network = replace(network, quirks=())
    scenario = Scenario(
        name=f"case-{seed}-{number}",
        title=f"{make.__name__}, {routers} routers, IPv{network.family}, ICMP {network.icmp}, {shapes or 'no delays'}",
        code=truth.code or rng.choice(CODES),
        target=truth.target,
        topology={"seed": rng.randrange(10_000), "routers": routers, "icmp": network.icmp, "shapes": shapes},
        records=truth.records,
        # the check of a peculiarity wants an answer that the fault may take away
        stepwise=True,
        faults=(*network.quirks, *truth.faults),
        expect=truth.expect,
        accept=truth.accept,
    )
    return scenario, rng.choice(("root", "nobody"))


def play_case(seed: int, number: int) -> tuple[str, Scenario, Outcome]:
    """Draw and run one case; its grade, what it was and how it went."""
    scenario, who = draw_case(seed, number)
    outcome = attempt(scenario, who, None)
    return fold(outcome), scenario, outcome


def told(found: str, scenario: Scenario, outcome: Outcome, seed: int, number: int) -> str:
    """What is printed of a case; the command that repeats it where it failed."""
    wanted = scenario.expect.cause or scenario.expect.outcome
    text = f"{found:16} {wanted:26} {line(outcome)}"
    if found in ("right", "abstained"):
        return text
    words = [json.dumps(dict(fault)) for fault in scenario.faults]
    again = f"python tests/lab/mutate.py --seed {seed} --case {number}"
    return "\n    ".join(
        [text, scenario.title, f"wsadiag {scenario.code} {scenario.target}", *words, f"again: {again}"]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=3)
    parser.add_argument("--case", type=int, action="append", help="only this case; may be repeated")
    parser.add_argument("--save", type=Path, help="write each report into this folder")
    options = parser.parse_args()
    why = enter()
    if why:
        print(f"skipped: {why}", file=sys.stderr)
        return SKIPPED
    numbers: Sequence[int] = options.case or range(options.count)
    started = time.monotonic()
    counts: Counter[str] = Counter()
    by_cause: dict[str, Counter[str]] = {}
    with ThreadPoolExecutor(options.jobs) as pool:
        played = pool.map(lambda number: play_case(options.seed, number), numbers)
        for number, (found, scenario, outcome) in zip(numbers, played, strict=True):
            counts[found] += 1
            by_cause.setdefault(scenario.expect.cause or "healthy", Counter())[found] += 1
            if found != "right" or options.case:
                print(told(found, scenario, outcome, options.seed, number), flush=True)
            if options.save and outcome.report:
                options.save.mkdir(parents=True, exist_ok=True)
                path = options.save / f"{scenario.name}.{outcome.who}.json"
                path.write_text(json.dumps(outcome.report, indent=1), encoding="utf-8")
    for cause, row in sorted(by_cause.items()):
        print(f"{cause:28} " + ", ".join(f"{row[found]} {found}" for found in GRADES if row[found]))
    words = ", ".join(f"{counts[found]} {found}" for found in GRADES)
    print(f"seed {options.seed}: {len(numbers)} cases in {time.monotonic() - started:.0f} s: {words}")
    return 0 if counts["right"] + counts["abstained"] == len(numbers) else 1


if __name__ == "__main__":
    sys.exit(main())
