"""Faults of the way to the host: losses, small links, addresses and TTLs rewritten, second ways, forged answers.

They follow the rules of faults.py: frozen records, each checked by other means before the program runs.
"""

from __future__ import annotations

import json
import random
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise

from tests.lab.faults import Filter, families, fault, require, route_get, try_tcp, value
from tests.lab.topology import HERE, Lab, Service

#: A port that no plan draws: what a router's own listener uses.
LISTENER = 31_000
#: What a check of the way connects to, because filters for the scenario's own port leave it alone: DNS over TCP.
FREE_HOST, FREE_PORT = "ns1", 53
HEADER = {4: ("ip ttl", "meta nfproto ipv4"), 6: ("ip6 hoplimit", "meta nfproto ipv6")}


def counted(lab: Lab, node: str, table: str) -> int:
    """How many packets the counters of a table have seen."""
    listed = json.loads(lab.run(node, "nft", "-j", "list", "table", "inet", table).stdout)
    expressions = [part for item in listed["nftables"] for part in item.get("rule", {}).get("expr", ())]
    return sum(part["counter"]["packets"] for part in expressions if "counter" in part)


def chain(lab: Lab, node: str, table: str, hook: str, rules: list[str]) -> None:
    """Load one chain of a table of its own; ``hook`` as nft(8) writes it, type and priority included."""
    body = "\n  ".join(rules)
    lab.nft(node, f"table inet {table} {{\n chain c {{\n  type {hook}; policy accept;\n  {body}\n }}\n}}\n")


@fault("small-link")
@dataclass(frozen=True)
class SmallLink:
    """The link between router ``router`` and the next one carries ``mtu`` bytes.

    ``told`` says whether senders hear of it: all, none, or ``towards`` those on the client's side alone. ``way``: the
    link is narrow both ways, or ``back`` alone, from the server.
    """

    router: int
    mtu: int = 1400
    told: bool | str = False
    way: str = "both"

    def inject(self, lab: Lab) -> None:
        silent = [
            "icmp type destination-unreachable icmp code frag-needed counter drop",
            "icmpv6 type packet-too-big counter drop",
        ]
        near, far = f"router{self.router}", f"router{self.router + 1}"
        if self.way == "both":
            lab.ip(near, f"link set e1 mtu {self.mtu}")
            lab.ip(far, f"link set e0 mtu {self.mtu}")
        else:
            for family, network in ((4, lab.plan.networks4[0]), (6, lab.plan.networks6[0])):
                via = lab.plan[near].far.address(family)
                words = f"-{family} route replace {network} via {via} mtu lock {self.mtu}"
                subprocess.run(["ip", "-n", lab.ns(far), *words.split()], check=True)
        for node in {True: (), False: (near, far), "towards": (far,)}[self.told]:
            chain(lab, node, "f_untold", "filter hook output priority 0", silent)

    def verify(self, lab: Lab) -> None:
        for family in (4, 6):
            if self.way == "both":
                self._check(lab, "neighbour", value(lab, "server", family), family, told=bool(self.told))
            if self.way == "back" or self.told == "towards":
                self._check(lab, "mate", value(lab, "neighbour", family), family, told=self.told is True)

    def _check(self, lab: Lab, node: str, address: str, family: int, *, told: bool) -> None:
        for size, arrives in ((self.mtu, True), (1500, False)):
            payload = size - (28 if family == 4 else 48)
            done = lab.run(node, "ping", "-n", "-c1", "-W0.3", "-M", "do", "-s", str(payload), address, check=False)
            said = done.stdout + done.stderr
            require((done.returncode == 0) == arrives, f"{self}: {node}: {size} bytes: {said}")
            require(arrives or ("needed" in said or "too big" in said) == told, f"{self}: {node}: {size} bytes: {said}")


@fault("loss")
@dataclass(frozen=True)
class Loss:
    """Router ``router`` loses ``percent`` of what it forwards ``towards`` the server, ``back`` from it, or ``both``."""

    router: int
    percent: int
    direction: str = "both"

    def inject(self, lab: Lab) -> None:
        side = {"towards": 'iifname "e0" ', "back": 'iifname "e1" ', "both": ""}[self.direction]
        rule = f"{side}numgen random mod 100 < {self.percent} counter drop"
        chain(lab, f"router{self.router}", "f_loss", "filter hook forward priority 0", [rule])

    def verify(self, lab: Lab) -> None:
        ways = 2 if self.direction == "both" else 1
        expected = 1 - (1 - self.percent / 100) ** ways
        for family in (4, 6):
            # a check that the share is about right may not use up the routers' ICMP limits: these are echoes
            words = ["ping", "-n", "-q", "-c60", "-i0.002", "-W0.3", value(lab, FREE_HOST, family)]
            said = lab.run("neighbour", *words, check=False).stdout
            lost = 1 - int(said.split(" received")[0].split()[-1]) / 60
            require(abs(lost - expected) < 0.27, f"{self}: {lost:.0%} lost instead of about {expected:.0%}")
            require(lost > 0, f"{self}: nothing was lost")


@fault("echo-limit")
@dataclass(frozen=True)
class EchoLimit:
    """The machine ``node`` answers no more than ``per_s`` echo requests a second, after a burst of ``burst``."""

    node: str = "server"
    per_s: int = 5
    burst: int = 5

    def inject(self, lab: Lab) -> None:
        limit = f"limit rate over {self.per_s}/second burst {self.burst} packets counter drop"
        rules = [f"icmp type echo-request {limit}", f"icmpv6 type echo-request {limit}"]
        chain(lab, self.node, "f_echoes", "filter hook input priority 0", rules)

    def verify(self, lab: Lab) -> None:
        for family in (4, 6):
            words = ["ping", "-n", "-q", "-c20", "-i0.002", "-W0.3", value(lab, self.node, family)]
            said = lab.run("neighbour", *words, check=False).stdout
            answered = int(said.split(" received")[0].split()[-1])
            require(0 < answered < 20, f"{self}: {answered} of 20 answered")
        time.sleep(self.burst / self.per_s)  # the allowance that the check took


@fault("nat")
@dataclass(frozen=True)
class Nat:
    """Router ``router`` puts its own address in the place of the sender's."""

    router: int

    def inject(self, lab: Lab) -> None:
        hook = "nat hook postrouting priority 100"
        chain(lab, f"router{self.router}", "f_nat", hook, ['oifname "e1" masquerade'])

    def verify(self, lab: Lab) -> None:
        far = lab.plan.router(self.router).far
        for family in (4, 6):
            server = value(lab, FREE_HOST, family)
            with lab.inside("neighbour"), socket.create_connection((server, FREE_PORT), timeout=2.0):
                rows = lab.run(FREE_HOST, "ss", "-Htn", "sport", "=", f":{FREE_PORT}").stdout
            require(far.address(family) in rows, f"{self}: the connection is seen as {rows}")


@fault("port-forward")
@dataclass(frozen=True)
class PortForward:
    """Router ``router`` passes TCP connections to ``port`` of ``address`` on to the same port of machine ``to``.

    Without ``address`` they are those to the router's own address, as where a whole network hides behind it.
    """

    router: int
    to: str = "server"
    port: str = "{port}"
    address: str | None = None

    def _meant(self, lab: Lab, family: int) -> str:
        return value(lab, self.address or f"router{self.router}", family)

    def inject(self, lab: Lab) -> None:
        meant = f"tcp dport {lab.fill(self.port)} counter dnat"
        rules = [
            f"{which} daddr {self._meant(lab, family)} {meant} {which} to {value(lab, self.to, family)}"
            for family, which in ((4, "ip"), (6, "ip6"))
        ]
        chain(lab, f"router{self.router}", "f_forward", "nat hook prerouting priority -100", rules)

    def verify(self, lab: Lab) -> None:
        node, port = f"router{self.router}", int(lab.fill(self.port))
        for family in (4, 6):
            before = counted(lab, node, "f_forward")
            try_tcp(lab, "neighbour", self._meant(lab, family), port, 0.5)
            require(counted(lab, node, "f_forward") > before, f"{self}: nothing was passed on over IPv{family}")


@fault("divert")
@dataclass(frozen=True)
class Divert:
    """The last router sends connections to ``port`` of the server by way of ``to`` on its network, which accepts them.

    That is how caches stand beside a path: the packets stay as they are, and the host's own network takes them over.
    """

    to: str = "mate"
    port: str = "{port}"

    def inject(self, lab: Lab) -> None:
        router, port = lab.plan.last_router.name, lab.fill(self.port)
        rule = f"tcp dport {port} counter meta mark set 7"
        chain(lab, router, "f_divert", "filter hook prerouting priority -150", [rule])
        for family in (4, 6):
            for words in (
                "rule add fwmark 7 table 77",
                f"route add default via {value(lab, self.to, family)} table 77",
            ):
                subprocess.run(["ip", "-n", lab.ns(router), f"-{family}", *words.split()], check=True)
        chain(lab, self.to, "f_divert", "nat hook prerouting priority -100", [f"tcp dport {port} redirect to :{port}"])

    def verify(self, lab: Lab) -> None:
        router, port = lab.plan.last_router.name, int(lab.fill(self.port))
        for family in (4, 6):
            before = counted(lab, router, "f_divert")
            reached = try_tcp(lab, "neighbour", value(lab, "server", family), port, 2.0)
            require(reached == 0, f"{self}: IPv{family}: {reached}")
            require(counted(lab, router, "f_divert") > before, f"{self}: nothing was diverted over IPv{family}")


@fault("ttl-rewrite")
@dataclass(frozen=True)
class TtlRewrite:
    """Router ``router`` gives the TTL ``ttl`` to what it forwards.

    ``direction``: ``towards`` the server, ``back`` from it, or ``both``.
    """

    router: int
    ttl: int = 64
    direction: str = "both"

    def inject(self, lab: Lab) -> None:
        sides = {"towards": ["e0"], "back": ["e1"], "both": ["e0", "e1"]}[self.direction]
        rules = [
            f'iifname "{side}" {which} counter {header} set {self.ttl}'
            for side in sides
            for header, which in HEADER.values()
        ]
        chain(lab, f"router{self.router}", "f_ttl", "filter hook forward priority -10", rules)

    def verify(self, lab: Lab) -> None:
        node = f"router{self.router}"
        for family in (4, 6):
            before = counted(lab, node, "f_ttl")
            reached = try_tcp(lab, "neighbour", value(lab, FREE_HOST, family), FREE_PORT, 2.0)
            require(reached == 0, f"{self}: the network itself is ill: {reached}")
            require(counted(lab, node, "f_ttl") > before, f"{self}: nothing was rewritten over IPv{family}")


@fault("redirect")
@dataclass(frozen=True)
class Redirect:
    """Router ``router`` accepts the connections to ``port`` itself, whoever they are for."""

    router: int
    port: str = "{port}"
    address: str = "server"

    def inject(self, lab: Lab) -> None:
        node = f"router{self.router}"
        lab.serve(Service(LISTENER, "echo", node))
        rule = f"tcp dport {lab.fill(self.port)} counter redirect to :{LISTENER}"
        chain(lab, node, "f_redirect", "nat hook prerouting priority -100", [rule])

    def verify(self, lab: Lab) -> None:
        node, port = f"router{self.router}", int(lab.fill(self.port))
        for family in (4, 6):
            before = counted(lab, node, "f_redirect")
            outcome = try_tcp(lab, "neighbour", value(lab, self.address, family), port, 2.0)
            require(outcome == 0, f"{self}: IPv{family}: {outcome}")
            require(counted(lab, node, "f_redirect") > before, f"{self}: the connection was not taken")


@fault("forged-reset")
@dataclass(frozen=True)
class ForgedReset:
    """Router ``router`` drops the SYNs to ``port`` and resets them with a TTL that misleads.

    ``ttl``: ``copy`` takes the TTL that the SYN has left; ``host`` the one that makes the reset arrive as if it came
    from the server.
    """

    router: int
    ttl: str = "copy"
    port: str = "{port}"

    def _filter(self) -> Filter:
        return Filter(f"router{self.router}", "forward", "drop", port=self.port)

    def inject(self, lab: Lab) -> None:
        self._filter().inject(lab)
        fixed = None if self.ttl == "copy" else 64 - lab.plan.routers + self.router - 1
        entry = json.dumps({"interface": "e0", "port": int(lab.fill(self.port)), "ttl": fixed})
        node = f"router{self.router}"
        child = lab.spawn(node, [sys.executable, "-SEs", str(HERE / "forger.py")], first_line=entry)
        lab._await_ready(child)

    def verify(self, lab: Lab) -> None:
        port, drops = int(lab.fill(self.port)), self._filter()
        for family in (4, 6):
            before = drops.hits(lab)
            with suppress(ConnectionRefusedError), lab.inside("neighbour"):
                socket.create_connection((value(lab, "server", family), port), timeout=1.5).close()
                require(False, f"{self}: connected over IPv{family}")
            require(drops.hits(lab) > before, f"{self}: the SYN was not dropped")


@fault("forged-answer")
@dataclass(frozen=True)
class ForgedAnswer:
    """Router ``router`` drops the SYNs to ``port`` and answers them with what forger.py makes of the other words."""

    router: int
    answer: str = "reset"
    wrong: str | None = None
    senders: int = 1
    port: str = "{port}"

    def _filter(self) -> Filter:
        return Filter(f"router{self.router}", "forward", "drop", port=self.port)

    def inject(self, lab: Lab) -> None:
        self._filter().inject(lab)
        words = {"interface": "e0", "port": int(lab.fill(self.port)), "ttl": 64, "kind": self.answer}
        entry = json.dumps({**words, "wrong": self.wrong, "senders": self.senders})
        node = f"router{self.router}"
        lab._await_ready(lab.spawn(node, [sys.executable, "-SEs", str(HERE / "forger.py")], first_line=entry))

    def verify(self, lab: Lab) -> None:
        port, drops = int(lab.fill(self.port)), self._filter()
        for family in (4, 6):
            before = drops.hits(lab)
            outcome = try_tcp(lab, "neighbour", value(lab, "server", family), port, 0.7)
            require(outcome != 0, f"{self}: connected over IPv{family}")
            require(drops.hits(lab) > before, f"{self}: the SYN was not dropped")


@fault("detour")
@dataclass(frozen=True)
class Detour:
    """A second way, of ``length`` routers (detour1, …), beside router ``router``.

    ``towards`` and ``back`` say which way is taken to the server and from it: ``main``, ``detour``, or ``both`` by the
    hash of the flow (addresses and ports).
    """

    router: int
    length: int = 1
    towards: str = "both"
    back: str = "both"

    def inject(self, lab: Lab) -> None:
        nodes = [f"detour{number}" for number in range(1, self.length + 1)]
        for node in nodes:
            subprocess.run(["ip", "netns", "add", lab.ns(node)], check=True)
            lab.names.append(node)
            lab._prepare(node)
            lab.sysctl(node, {"ipv4/ip_forward": 1, "ipv6/conf/all/forwarding": 1})
        before, after = f"router{self.router - 1}", f"router{self.router + 1}"
        for node in (before, after):
            lab.sysctl(node, {"ipv4/fib_multipath_hash_policy": 1, "ipv6/fib_multipath_hash_policy": 1})
        line, links = [before, *nodes, after], self._addresses(lab)
        for (left, right), addresses in zip(pairwise(line), links, strict=True):
            ends = "d1" if left == before else "e1", "d0" if right == after else "e0"
            words = f"link add {ends[0]} netns {lab.ns(left)} type veth peer name {ends[1]} netns {lab.ns(right)}"
            subprocess.run(["ip", *words.split()], check=True)
            for node, interface, side in ((left, ends[0], 0), (right, ends[1], 1)):
                lines = [f"link set {interface} up"]
                lines += [f"addr add {pair[side]} dev {interface}" for pair in addresses]
                lab.ip(node, *lines)
        for family in (4, 6):
            self._route(lab, family, line, [pair[family == 6] for pair in links])

    def _addresses(self, lab: Lab) -> list[tuple[tuple[str, str], tuple[str, str]]]:
        """Both ends of each link, for each family, from ranges that no plan draws from (RFC 6598, RFC 4193)."""
        rng = random.Random(f"detour {lab.plan.seed}")
        found = []
        for number in range(self.length + 1):
            base = f"100.{rng.randint(64, 127)}.{number}"
            six = f"fdde:{rng.getrandbits(16):x}:{number}"
            found.append(((f"{base}.1/30", f"{base}.2/30"), (f"{six}::1/64", f"{six}::2/64")))
        return found

    def _route(self, lab: Lab, family: int, line: list[str], links: list[tuple[str, str]]) -> None:
        plan = lab.plan
        networks = plan.networks4 if family == 4 else plan.networks6
        bare = [(a.split("/")[0], b.split("/")[0]) for a, b in links]
        main = plan.router(self.router)
        ways = {"towards": (main.near.address(family), bare[0][1]), "back": (main.far.address(family), bare[-1][0])}
        for index, network in enumerate(networks):
            for position in range(1, len(line) - 1):
                via = bare[position][1] if index >= self.router else bare[position - 1][0]
                self._ip(lab, line[position], f"-{family} route add {network} via {via}")
            if index > self.router:
                self._choose(lab, line[0], f"-{family} route", str(network), self._ways("towards", ways))
            elif index < self.router - 1:
                self._choose(lab, line[-1], f"-{family} route", str(network), self._ways("back", ways))

    def _ways(self, direction: str, ways: dict[str, tuple[str, str]]) -> tuple[str, ...]:
        which = self.towards if direction == "towards" else self.back
        return {"main": ways[direction][:1], "detour": ways[direction][1:], "both": ways[direction]}[which]

    def _choose(self, lab: Lab, node: str, command: str, network: str, hops: tuple[str, ...]) -> None:
        # an IPv6 route to the same network would be added to, not replaced
        self._ip(lab, node, f"{command} del {network}")
        words = "".join(f" nexthop via {hop}" for hop in hops) if len(hops) > 1 else f" via {hops[0]}"
        self._ip(lab, node, f"{command} add {network}{words}")

    @staticmethod
    def _ip(lab: Lab, node: str, words: str) -> None:
        subprocess.run(["ip", "-n", lab.ns(node), *words.split()], check=True)

    def verify(self, lab: Lab) -> None:
        before, after = f"router{self.router - 1}", f"router{self.router + 1}"
        for family in (4, 6):
            near, far = value(lab, "neighbour", family), value(lab, "server", family)
            for node, which, source, target, side, there in (
                (before, self.towards, near, far, "e0", "d1"),
                (after, self.back, far, near, "e1", "d0"),
            ):
                wanted = {"main": {False}, "detour": {True}, "both": {False, True}}[which]
                found = set()
                for port in range(40_000, 40_040):
                    words = [target, "from", source, "iif", side, "ipproto", "tcp", "sport", str(port), "dport", "80"]
                    said, _ = route_get(lab, node, *words)
                    found.add(f"dev {there}" in said)
                    if found == wanted and len(wanted) == 2:
                        break
                require(found == wanted, f"{self}: on {node} {found} instead of {wanted} over IPv{family}")
            require(try_tcp(lab, "neighbour", value(lab, FREE_HOST, family), FREE_PORT, 2.0) == 0, f"{self}: no way")


@fault("flow-filter")
@dataclass(frozen=True)
class FlowFilter(Filter):
    """A packet filter on one of several equal ways: only some flows meet it."""

    def verify(self, lab: Lab) -> None:
        port = int(lab.fill(self.port))
        for family in families(self.family):
            before, deadline = self.hits(lab), time.monotonic() + 5.0
            while self.hits(lab) == before:
                require(time.monotonic() < deadline, f"{self}: no flow over IPv{family} met the filter")
                try_tcp(lab, "neighbour", value(lab, self.to, family), port, 0.05)
