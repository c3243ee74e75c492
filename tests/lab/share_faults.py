"""Faults of addresses that stand for several machines, and of limits that only some connections meet.

As in ``faults.py``, each checks by other means that it is really there. Importing the module enters them into the
registry.
"""

from __future__ import annotations

import errno
import time
from dataclasses import dataclass

from tests.lab.faults import REJECTS, families, fault, require, try_tcp, value
from tests.lab.path_faults import chain
from tests.lab.topology import Lab


@fault("connection-limit")
@dataclass(frozen=True)
class ConnectionLimit:
    """The machine ``node`` lets each address make ``burst`` connections to ``port``, and one more each minute.

    What goes beyond that meets ``action`` (of ``faults.REJECTS``).
    """

    node: str = "server"
    burst: int = 5
    action: str = "port-unreachable"
    port: str = "{port}"

    def inject(self, lab: Lab) -> None:
        hook = "input" if self.node == "server" else "forward"
        limit = f"limit rate over 1/minute burst {self.burst} packets"
        rules = [
            f"tcp dport {lab.fill(self.port)} ct state new update @seen{family} {{ {which} saddr {limit} }} "
            f"counter {REJECTS[self.action]}"
            for family, which in ((4, "ip"), (6, "ip6"))
        ]
        sets = "\n ".join(
            f"set seen{family} {{ type {kind}; flags dynamic; timeout 5m; }}"
            for family, kind in ((4, "ipv4_addr"), (6, "ipv6_addr"))
        )
        body = "\n  ".join(rules)
        lab.nft(
            self.node,
            f"table inet f_limit {{\n {sets}\n chain c {{\n  type filter hook {hook} priority 0; policy accept;\n"
            f"  {body}\n }}\n}}\n",
        )

    def verify(self, lab: Lab) -> None:
        for family in families(0):
            address, port = value(lab, "server", family), int(lab.fill(self.port))
            met = [try_tcp(lab, "neighbour", address, port, 0.4) for _ in range(self.burst + 2)]
            require(met[: self.burst] == [0] * self.burst, f"{self}: IPv{family}: {met}")
            require(0 not in met[self.burst :], f"{self}: IPv{family}: {met}")


@fault("shared-address")
@dataclass(frozen=True)
class SharedAddress:
    """The last router has an address whose ``port`` it spreads over ``machines``, of which one does not serve it.

    They take turns, or are chosen at ``random``. The one at fault refuses, or is ``silent``. The address is the one
    that the router has towards the client.
    """

    machines: int = 2
    random: bool = False
    silent: bool = False
    port: str = "{port}"

    def inject(self, lab: Lab) -> None:
        router, port = lab.plan.last_router, lab.fill(self.port)
        choice = f"numgen {'random' if self.random else 'inc'} mod {self.machines}"
        bad = self.machines - 1
        rules = [
            f"{which} daddr {router.near.address(family)} tcp dport {port} counter "
            f"dnat {which} to {choice} map {{ 0-{bad - 1} : {value(lab, 'server', family)}, "
            f"{bad} : {value(lab, 'mate', family)} }}"
            for family, which in ((4, "ip"), (6, "ip6"))
        ]
        chain(lab, router.name, "f_share", "nat hook prerouting priority -100", rules)
        fails = REJECTS["drop" if self.silent else "reset"]
        chain(lab, "mate", "f_share", "filter hook input priority 0", [f"tcp dport {port} counter {fails}"])

    def verify(self, lab: Lab) -> None:
        for family in (4, 6):
            address, port, met = lab.plan.last_router.near.address(family), int(lab.fill(self.port)), set()
            wanted = {0, None if self.silent else errno.ECONNREFUSED}
            deadline = time.monotonic() + 8.0
            while met != wanted:
                require(time.monotonic() < deadline, f"{self}: IPv{family}: {met}")
                met.add(try_tcp(lab, "neighbour", address, port, 0.3))


@fault("no-hairpin")
@dataclass(frozen=True)
class NoHairpin:
    """Router 1 passes ``port`` of its outside address on to a machine of the client's network, and keeps the sender.

    With ``outside_only`` it does so for what comes from outside, and answers its own network itself.
    """

    outside_only: bool = False
    to: str = "neighbour"
    port: str = "{port}"

    def inject(self, lab: Lab) -> None:
        port, where = lab.fill(self.port), 'iifname "e1" ' if self.outside_only else ""
        rules = [
            f"{where}{which} daddr {value(lab, 'outside', family)} tcp dport {port} counter "
            f"dnat {which} to {value(lab, self.to, family)}"
            for family, which in ((4, "ip"), (6, "ip6"))
        ]
        chain(lab, "router1", "f_hairpin", "nat hook prerouting priority -100", rules)

    def verify(self, lab: Lab) -> None:
        for family in (4, 6):
            address, port = value(lab, "outside", family), int(lab.fill(self.port))
            require(try_tcp(lab, "server", address, port, 2.0) == 0, f"{self}: IPv{family}: not even from outside")
            met = try_tcp(lab, "client", address, port, 0.3)
            require(met == (errno.ECONNREFUSED if self.outside_only else None), f"{self}: IPv{family}: {met}")
