"""Who has which address in a lab, drawn from a seed: pure data, no network.

Addresses come from the private and benchmarking ranges (RFC 1918, RFC 2544) and from unique local ones (RFC 4193),
with prefix lengths and host numbers that vary, so that nothing can be tuned to fixed addresses.
"""

from __future__ import annotations

import ipaddress
import random
import socket
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network

BLOCKS = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "198.18.0.0/15")
WORDS = ("amber", "birch", "cobalt", "dune", "ember", "fjord", "grove", "heron", "iris", "juniper", "krill", "lark")
MAX_ROUTERS = 7
DEFAULT_ROUTERS = 3


@dataclass(frozen=True)
class Port:
    """One network interface: its name, the index of its network (0 = client LAN), its addresses."""

    interface: str
    network: int
    v4: IPv4Interface
    v6: IPv6Interface

    def address(self, family: int) -> str:
        """The bare address of ``family`` 4 or 6."""
        return str(self.v4.ip if family == 4 else self.v6.ip)


@dataclass(frozen=True)
class Machine:
    """A host (one port) or a router (``e0`` towards the client, ``e1`` towards the server)."""

    name: str
    ports: tuple[Port, ...]

    @property
    def near(self) -> Port:
        """The port that the client's packets reach first; for a router the one that traceroute shows."""
        return self.ports[0]

    @property
    def far(self) -> Port:
        """The port that faces the server."""
        return self.ports[-1]


@dataclass(frozen=True)
class Plan:
    """The lab on paper. ``machines`` in order of distance; ``hop`` numbers count as traceroute does."""

    seed: int
    routers: int
    block: IPv4Network
    networks4: tuple[IPv4Network, ...]
    networks6: tuple[IPv6Network, ...]
    machines: tuple[Machine, ...]
    zone: str
    port: int
    closed_port: int
    other_port: int
    spare: tuple[IPv4Interface, IPv6Interface]
    spare_local: tuple[IPv4Interface, IPv6Interface]

    @cached_property
    def by_name(self) -> dict[str, Machine]:
        """Every machine by its name."""
        return {machine.name: machine for machine in self.machines}

    def __getitem__(self, name: str) -> Machine:
        return self.by_name[name]

    def router(self, number: int) -> Machine:
        """The ``number``-th router as seen from the client, counted from 1."""
        return self.by_name[f"router{number}"]

    @property
    def last_router(self) -> Machine:
        """The router of the server's network."""
        return self.router(self.routers)

    def hop(self, name: str) -> int:
        """How many devices away a machine is from the client: 1 = the first router or a local machine."""
        if name == "client":
            return 0
        if name.startswith("router"):
            return int(name.removeprefix("router"))
        return 1 if name == "neighbour" else self.routers + 1

    def values(self) -> dict[str, str]:
        """What a scenario's ``{…}`` may stand for; a trailing 6 means the IPv6 address."""
        name = f"www.{self.zone}"
        found = {
            "name": name,
            "zone": self.zone,
            "other_name": f"mail.{self.zone}",
            "missing_name": f"no-such-host.{self.zone}",
            "own_name": socket.gethostname(),
            "alias": f"ftp.{self.zone}",
            "port": str(self.port),
            "closed_port": str(self.closed_port),
            "other_port": str(self.other_port),
            "spare": str(self.spare[0].ip),
            "spare6": str(self.spare[1].ip),
            "spare_local": str(self.spare_local[0].ip),
            "spare_local6": str(self.spare_local[1].ip),
            "broadcast": str(self.networks4[0].broadcast_address),
            "server_network": str(self.networks4[-1]),
            "server_network6": str(self.networks6[-1]),
        }
        for machine in self.machines:
            found[machine.name] = machine.near.address(4)
            found[machine.name + "6"] = machine.near.address(6)
        found["outside"], found["outside6"] = (self.router(1).far.address(f) for f in (4, 6))
        found["last_router"], found["last_router6"] = (self.last_router.near.address(f) for f in (4, 6))
        return found

    def wide_prefix(self) -> int:
        """The longest prefix with which the client takes the server for a machine of its own network."""
        client, server = (int(self[name].near.v4.ip) for name in ("client", "server"))
        return 32 - (client ^ server).bit_length()

    def narrow_prefix(self) -> int | None:
        """The longest IPv4 prefix, at most 30, that leaves router and neighbour outside the client's network."""
        client = self["client"].near.v4
        others = (self["router1"].near.v4.ip, self["neighbour"].near.v4.ip)
        for length in range(30, client.network.prefixlen, -1):
            network = ipaddress.ip_interface(f"{client.ip}/{length}").network
            edges = (network.network_address, network.broadcast_address)
            if client.ip not in edges and not any(other in network for other in others):
                return length
        return None


def draw(seed: int, routers: int = DEFAULT_ROUTERS) -> Plan:
    """Return the plan for ``seed`` with 1 to 7 routers; the same arguments give the same plan."""
    if not 1 <= routers <= MAX_ROUTERS:
        raise ValueError(f"{routers} routers; a lab has 1 to {MAX_ROUTERS}")
    rng = random.Random(f"wsadiag lab {seed} {routers}")
    block = ipaddress.IPv4Network(rng.choice(BLOCKS))
    slots = rng.sample(range(1, 2 ** (22 - block.prefixlen) - 1), routers + 1)
    subnets = rng.sample(range(1, 0xFFFF), routers + 1)
    site = (0xFD << 120) | (rng.getrandbits(40) << 80)
    networks4: list[IPv4Network] = []
    networks6: list[IPv6Network] = []
    for index, (slot, subnet) in enumerate(zip(slots, subnets, strict=True)):
        lan = index in (0, routers)
        length = rng.randint(23, 26) if lan else rng.choice((29, 30))
        base = int(block.network_address) + (slot << 10) + (rng.randrange(2 ** (length - 22)) << (32 - length))
        networks4.append(IPv4Network((base, length)))
        networks6.append(IPv6Network((site | (subnet << 64), 64 if lan else rng.choice((64, 112, 126)))))

    def ports(index: int, count: int) -> list[tuple[IPv4Interface, IPv6Interface]]:
        net4, net6 = networks4[index], networks6[index]
        hosts4 = rng.sample(range(1, net4.num_addresses - 1), count)
        room = min(net6.num_addresses - 1, 2**64 - 1)
        hosts6: set[int] = set()
        while len(hosts6) < count:
            hosts6.add(rng.randint(1, min(room, rng.choice((0xFF, room)))))
        order6 = rng.sample(sorted(hosts6), count)
        return [
            (IPv4Interface((int(net4[a]), net4.prefixlen)), IPv6Interface((int(net6[b]), net6.prefixlen)))
            for a, b in zip(hosts4, order6, strict=True)
        ]

    client_lan = ports(0, 4)
    server_lan = ports(routers, 6)
    near, far = [(0, *client_lan[2])], []
    for index in range(1, routers):
        left, right = ports(index, 2)
        far.append((index, *left))
        near.append((index, *right))
    far.append((routers, *server_lan[0]))
    machines = [
        Machine("client", (Port("e0", 0, *client_lan[0]),)),
        Machine("neighbour", (Port("e0", 0, *client_lan[1]),)),
        *(Machine(f"router{i + 1}", (Port("e0", *near[i]), Port("e1", *far[i]))) for i in range(routers)),
        *(
            Machine(name, (Port("e0", routers, *server_lan[i]),))
            for i, name in enumerate(("server", "mate", "ns1", "ns2"), start=1)
        ),
    ]
    listening = rng.sample(range(2000, 30000), 3)
    return Plan(
        seed=seed,
        routers=routers,
        block=block,
        networks4=tuple(networks4),
        networks6=tuple(networks6),
        machines=tuple(machines),
        zone=f"{rng.choice(WORDS)}{rng.randint(1, 99)}.test",
        port=listening[0],
        closed_port=listening[1],
        other_port=listening[2],
        spare=server_lan[5],
        spare_local=client_lan[3],
    )
