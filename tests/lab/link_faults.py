"""Faults of links that look well: a tunnel without a far end, an address that two machines have, one user's own way.

As in ``faults.py``, each checks by other means that it is really there. Importing the module enters them into the
registry.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import dataclass

from tests.lab.faults import fault, pings, require, route_get, try_tcp, value
from tests.lab.local_faults import user_connects, user_stands
from tests.lab.topology import NOBODY, Lab, LabError
from tests.lab.way_faults import routes, second_way, thrown_away

#: Opens a tunnel as a VPN's client does, and loses whatever is sent by it (<linux/if_tun.h>).
_TUNNEL = """
import fcntl, os, struct
tunnel = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tunnel, 0x400454CA, struct.pack("16sH", b"t9", 0x1001))
print("READY", flush=True)
while os.read(tunnel, 65536):
    pass
"""


@fault("dead-tunnel")
@dataclass(frozen=True)
class DeadTunnel:
    """The way to the server, or with ``whole`` to everything, is a tunnel whose far end is gone."""

    family: int = 4
    whole: bool = False

    def inject(self, lab: Lab) -> None:
        child = lab.spawn("client", [sys.executable, "-SEc", _TUNNEL], first_line="")
        if child.stdout is None or child.stdout.readline() != "READY\n":
            raise LabError("no tunnel can be opened")
        lab.ip("client", "addr add 100.64.78.1/30 dev t9", "addr add fd64:78::1/64 dev t9 nodad", "link set t9 up")
        if self.whole:
            routes(lab, self.family, "del default", "add default dev t9")
        else:
            routes(lab, self.family, f"add {value(lab, 'server_network', self.family)} dev t9 metric 1")

    def verify(self, lab: Lab) -> None:
        address, port = value(lab, "server", self.family), int(lab.values["port"])
        require("dev t9" in route_get(lab, "client", address)[0], f"{self}: the way is another")
        require(try_tcp(lab, "client", address, port) is None, f"{self}: something answers")
        require(try_tcp(lab, "neighbour", address, port) == 0, f"{self}: the server is not there")


def link_address(lab: Lab, node: str, interface: str) -> str:
    """The link address of an interface."""
    return str(json.loads(lab.run(node, "ip", "-j", "link", "show", interface).stdout)[0]["address"])


@fault("address-taken")
@dataclass(frozen=True)
class AddressTaken:
    """The client's neighbour has taken the IPv4 address of ``node``, the client or router 1, and is believed."""

    node: str = "client"

    def inject(self, lab: Lab) -> None:
        address, near = value(lab, self.node, 4), lab.plan[self.node].near.v4
        mac = link_address(lab, "neighbour", "e0")
        lab.ip("neighbour", f"addr add {near} dev e0")
        # the router would learn better from the client's own questions; the client asks nobody while all is well
        believer, state = ("router1", "permanent") if self.node == "client" else ("client", "reachable")
        lab.ip(believer, f"neigh replace {address} lladdr {mac} nud {state} dev e0")

    def verify(self, lab: Lab) -> None:
        address, port = value(lab, "server", 4), int(lab.values["port"])
        require(try_tcp(lab, "client", address, port) != 0, f"{self}: connects all the same")
        require(pings(lab, "mate", value(lab, "router1", 4), 1.0), f"{self}: the router is gone")


@fault("way-of-a-user")
@dataclass(frozen=True)
class WayOfUser:
    """A rule sends what user ``nobody`` sends by ``e9``, to a dead end; ``{program}`` is a process of that user's."""

    family: int = 4

    def inject(self, lab: Lab) -> None:
        user_stands(lab)
        far = second_way(lab, self.family)
        routes(lab, self.family, f"add default via {far} dev e9 table 99")
        words = f"-n {lab.ns('client')} -{self.family} rule add uidrange {NOBODY}-{NOBODY} lookup 99 priority 99"
        subprocess.run(["ip", *words.split()], check=True)

    def verify(self, lab: Lab) -> None:
        address, port = value(lab, "server", self.family), int(lab.values["port"])
        require(try_tcp(lab, "client", address, port) == 0, f"{self}: others cannot connect either")
        require(not user_connects(lab, address, port), f"{self}: the user connects all the same")


@fault("stray-packets")
@dataclass(frozen=True)
class StrayPackets:
    """Packets that nobody asked for come in by ``e9``, so many a second, and the strict reverse-path filter drops them.

    They are others' business: whatever else is wrong has nothing to do with them.
    """

    per_second: int = 100

    def inject(self, lab: Lab) -> None:
        second_way(lab, 4)
        lab.sysctl("client", {"ipv4/conf/all/rp_filter": 1, "ipv4/conf/e9/rp_filter": 1})
        source = value(lab, "mate", 4)
        mac = link_address(lab, "client", "e9")  # a question for it would be thrown away as well
        lab.ip("neighbour", f"addr add {source}/32 dev lo", f"neigh replace 100.64.77.1 lladdr {mac} dev e9")
        words = ("ping", "-n", "-q", f"-i{1 / self.per_second}", "-I", source, "100.64.77.1")
        lab.spawn("neighbour", list(words))

    def verify(self, lab: Lab) -> None:
        before = thrown_away(lab)
        threading.Event().wait(0.5)
        require(thrown_away(lab) - before > self.per_second / 8, f"{self}: the filter drops nothing")
