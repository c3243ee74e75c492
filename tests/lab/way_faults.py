"""Faults of the client's own choice of a way: a second default route, a network that overlaps, answers elsewhere.

As in ``faults.py``, each checks by other means that it is really there. Importing the module enters them into the
registry.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

from tests.lab.faults import fault, require, try_tcp, value
from tests.lab.topology import Lab

#: The network of the second interface, which no plan draws.
_NEAR, _FAR = {4: "100.64.77.1", 6: "fd64:77::1"}, {4: "100.64.77.2", 6: "fd64:77::2"}
_LENGTH = {4: 30, 6: 64}


def _second_interface(lab: Lab, peer: str) -> None:
    """Connect the client by ``e9`` to a machine that passes nothing on."""
    near, far = lab.ns("client"), lab.ns(peer)
    words = f"-n {near} link add e9 type veth peer name e9 netns {far}"
    subprocess.run(["ip", *words.split()], check=True)
    for node, addresses in (("client", _NEAR), (peer, _FAR)):
        lab.ip(
            node,
            "link set e9 up",
            f"addr add {addresses[4]}/{_LENGTH[4]} dev e9",
            f"addr add {addresses[6]}/{_LENGTH[6]} dev e9 nodad",
        )


def second_way(lab: Lab, family: int) -> str:
    """Connect the client by ``e9`` to a machine that passes nothing on; its address."""
    _second_interface(lab, "neighbour")
    return _FAR[family]


def routes(lab: Lab, family: int, *lines: str) -> None:
    """Change the client's routes of one family by lines of ip-route(8)."""
    for line in lines:
        subprocess.run(["ip", "-n", lab.ns("client"), f"-{family}", "route", *line.split()], check=True)


@fault("idle-interface")
@dataclass(frozen=True)
class IdleInterface:
    """The client's interface has lost its addresses and the routes with them; ``e9`` has some, and leads nowhere."""

    def inject(self, lab: Lab) -> None:
        _second_interface(lab, "neighbour")
        lab.ip("client", "addr flush dev e0 scope global")

    def verify(self, lab: Lab) -> None:
        shown = ["ip", "-o", "-n", lab.ns("client"), "addr", "show", "scope", "global"]
        done = subprocess.run(shown, capture_output=True, text=True, check=True)
        require("e9" in done.stdout and "e0" not in done.stdout, f"{self}: {done.stdout}")
        address, port = value(lab, "server", 4), int(lab.values["port"])
        require(try_tcp(lab, "client", address, port) != 0, f"{self}: connects all the same")


@fault("full-queue")
@dataclass(frozen=True)
class FullQueue:
    """The queue of the client's interface drops whatever is to be sent: its bucket is smaller than any packet."""

    def inject(self, lab: Lab) -> None:
        words = f"-n {lab.ns('client')} qdisc add dev e0 root tbf rate 8kbit burst 20 limit 1000"
        subprocess.run(["tc", *words.split()], check=True)

    def verify(self, lab: Lab) -> None:
        address, port = value(lab, "server", 4), int(lab.values["port"])
        require(try_tcp(lab, "client", address, port) != 0, f"{self}: connects all the same")
        shown = ["tc", "-s", "-n", lab.ns("client"), "qdisc", "show", "dev", "e0"]
        done = subprocess.run(shown, capture_output=True, text=True, check=True)
        require("dropped 0" not in done.stdout, f"{self}: {done.stdout}")


@fault("second-default")
@dataclass(frozen=True)
class SecondDefault:
    """A second default route, preferred over the router's, leads by ``e9`` to a machine that passes nothing on."""

    family: int = 4

    def inject(self, lab: Lab) -> None:
        _second_interface(lab, "neighbour")
        router = value(lab, "router1", self.family)
        routes(
            lab,
            self.family,
            "del default",
            f"add default via {_FAR[self.family]} dev e9 metric 50",
            f"add default via {router} dev e0 metric 5000",
        )

    def verify(self, lab: Lab) -> None:
        address, port = value(lab, "server", self.family), int(lab.values["port"])
        require(try_tcp(lab, "client", address, port) != 0, f"{self}: connects all the same")
        require(_over(lab, "e0", address, port), f"{self}: nothing answers by e0")


@fault("spare-default")
@dataclass(frozen=True)
class SpareDefault:
    """A second default route of the client, of a worse metric than the router's, leads by ``e9`` to a dead end."""

    family: int = 4

    def inject(self, lab: Lab) -> None:
        _second_interface(lab, "neighbour")
        routes(lab, self.family, f"add default via {_FAR[self.family]} dev e9 metric 5000")

    def verify(self, lab: Lab) -> None:
        words = ["ip", "-n", lab.ns("client"), f"-{self.family}", "route", "show", "default"]
        shown = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        require("dev e0" in shown and "dev e9" in shown, f"{self}: {shown}")
        require(
            not _over(lab, "e9", value(lab, "server", self.family), int(lab.values["port"])), f"{self}: e9 leads on"
        )


@fault("overlap")
@dataclass(frozen=True)
class Overlap:
    """A bridge-like interface ``e9`` of the client has an address inside the server's own network."""

    family: int = 4

    def inject(self, lab: Lab) -> None:
        _second_interface(lab, "neighbour")
        network = value(lab, "server_network", self.family)
        routes(lab, self.family, f"add {network} dev e9 metric 1")

    def verify(self, lab: Lab) -> None:
        address, port = value(lab, "server", self.family), int(lab.values["port"])
        require(try_tcp(lab, "client", address, port) != 0, f"{self}: connects all the same")
        require(_over(lab, "e0", address, port), f"{self}: nothing answers by e0")


def thrown_away(lab: Lab) -> int:
    """How many packets the client's reverse-path filter has dropped (proc_net_netstat)."""
    rows = [row.split() for row in lab.run("client", "cat", "/proc/net/netstat").stdout.splitlines()]
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return sum(
        int(n) for names, ns in pairs for name, n in zip(names, ns, strict=True) if name == "IPReversePathFilter"
    )


@fault("answers-elsewhere")
@dataclass(frozen=True)
class AnswersElsewhere:
    """Router 1 sends what is for the client by ``e9``, and the client's strict reverse-path filter drops it there."""

    def inject(self, lab: Lab) -> None:
        _second_interface(lab, "router1")
        client = value(lab, "client", 4)
        words = f"-n {lab.ns('router1')} route replace {client}/32 via {_NEAR[4]} dev e9"
        subprocess.run(["ip", *words.split()], check=True)
        lab.sysctl("client", {"ipv4/conf/all/rp_filter": 1, "ipv4/conf/e9/rp_filter": 1})

    def verify(self, lab: Lab) -> None:
        before = thrown_away(lab)
        address, port = value(lab, "server", 4), int(lab.values["port"])
        require(try_tcp(lab, "client", address, port) != 0, f"{self}: connects all the same")
        require(thrown_away(lab) > before, f"{self}: the filter has dropped nothing")


_BOUND = """
import socket, sys
address, port, interface = sys.argv[1:]
with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as s:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
    s.settimeout(3)
    s.connect((address, int(port)))
"""


def _over(lab: Lab, interface: str, address: str, port: int) -> bool:
    """Whether a connection is made that is bound to the interface."""
    words = ("python3", "-c", _BOUND, address, str(port), interface)
    return lab.run("client", *words, check=False).returncode == 0


@fault("fixed-neighbour")
@dataclass(frozen=True)
class FixedNeighbour:
    """The client's neighbour entry for a machine of its own network is fixed to a link address that nobody has."""

    node: str = "neighbour"
    family: int = 4

    def _address(self, lab: Lab) -> str:
        return value(lab, self.node, self.family)

    def inject(self, lab: Lab) -> None:
        lab.ip("client", f"neigh replace {self._address(lab)} lladdr 02:00:00:00:77:99 nud permanent dev e0")

    def verify(self, lab: Lab) -> None:
        address, port = self._address(lab), int(lab.values["port"])
        require(try_tcp(lab, "client", address, port) is None, f"{self}: something answers")
        require(try_tcp(lab, "router1", address, port) is not None, f"{self}: the machine is not there")


@fault("no-way-back")
@dataclass(frozen=True)
class NoWayBack:
    """The server has no route to other networks; whoever is on its own network still reaches it."""

    family: int = 4

    def inject(self, lab: Lab) -> None:
        for family in (4, 6):
            subprocess.run(["ip", "-n", lab.ns("server"), f"-{family}", "route", "del", "default"], check=True)

    def verify(self, lab: Lab) -> None:
        address, port = value(lab, "server", self.family), int(lab.values["port"])
        require(try_tcp(lab, "client", address, port) is None, f"{self}: an answer comes back")
        require(try_tcp(lab, "mate", address, port) == 0, f"{self}: the server is not there")
