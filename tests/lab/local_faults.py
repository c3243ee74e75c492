"""Faults of the client machine itself: its ports, descriptors, families and its own stack.

As in ``faults.py``, each checks by other means (ss(8), bare sockets, /proc) that it is really there. Importing the
module enters them into the registry.
"""

from __future__ import annotations

import errno
import json
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.lab.faults import fault, require, try_tcp
from tests.lab.topology import NOBODY, Lab, LabError

#: Connects as often as it can, says READY and keeps what it has.
_CONNECTS = """
import json, socket, sys
address, port = json.loads(sys.stdin.readline())
held = []
try:
    while len(held) < 1000:
        held.append(socket.create_connection((address, port)))
except OSError:
    pass
print("READY", flush=True)
sys.stdin.read()
"""
#: Opens sockets up to a limit that it sets itself.
_HOARDS = """
import json, resource, socket, sys
limit = json.loads(sys.stdin.readline())
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
held = []
try:
    while True:
        held.append(socket.socket())
except OSError:
    pass
print("READY", flush=True)
sys.stdin.read()
"""


def keep_running(lab: Lab, script: str, first_line: str) -> int:
    """Start a script on the client that lives as long as the lab; its process number."""
    child = lab.spawn("client", [sys.executable, "-SEc", script], first_line=first_line)
    if child.stdout is None or child.stdout.readline() != "READY\n":
        raise LabError("the client's own process did not start")
    return child.pid


@fault("closing-connections")
@dataclass(frozen=True)
class ClosingConnections:
    """On the client ``count`` connections of a server that has ended wait for their end on ``port``."""

    port: str = "{closed_port}"
    count: int = 2

    def inject(self, lab: Lab) -> None:
        port = int(lab.fill(self.port))
        with lab.inside("client"), socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
            listening.bind(("127.0.0.1", port))
            listening.listen()
            for _ in range(self.count):
                with socket.create_connection(("127.0.0.1", port), 1.0) as asking:
                    listening.accept()[0].close()  # who closes first is the one that waits
                    asking.recv(1)

    def verify(self, lab: Lab) -> None:
        port = lab.fill(self.port)
        rows = lab.run("client", "ss", "-Htan", "state", "time-wait", "sport", "=", f":{port}").stdout.splitlines()
        require(len(rows) == self.count, f"{self}: {rows}")
        with lab.inside("client"), socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trying:
            try:
                trying.bind(("127.0.0.1", int(port)))
            except OSError as error:
                require(error.errno == errno.EADDRINUSE, f"{self}: {error}")
            else:
                require(False, f"{self}: the port can be bound")


@fault("ports-taken")
@dataclass(frozen=True)
class PortsTaken:
    """The client has ``count`` outgoing ports, and connections to ``address`` and ``port`` hold them all."""

    address: str = "{server}"
    port: str = "{port}"
    count: int = 8

    def inject(self, lab: Lab) -> None:
        first, last = 41000, 41000 + self.count - 1
        lab.run("client", "sh", "-c", f"echo {first} {last} > /proc/sys/net/ipv4/ip_local_port_range")
        keep_running(lab, _CONNECTS, json.dumps([lab.fill(self.address), int(lab.fill(self.port))]))

    def verify(self, lab: Lab) -> None:
        port = int(lab.fill(self.port))
        rows = lab.run("client", "ss", "-Htan", "dport", "=", f":{port}").stdout.splitlines()
        require(len(rows) == self.count, f"{self}: {len(rows)} connections")
        outcome = try_tcp(lab, "client", lab.fill(self.address), port, 1.0)
        require(outcome == errno.EADDRNOTAVAIL, f"{self}: one more connection gives {outcome}")


@fault("descriptors-taken")
@dataclass(frozen=True)
class DescriptorsTaken:
    """A process of the client has opened as many sockets as its limit allows."""

    limit: int = 50

    def inject(self, lab: Lab) -> None:
        keep_running(lab, _HOARDS, json.dumps(self.limit))

    def verify(self, lab: Lab) -> None:
        full = [
            child.pid
            for child in lab.children
            if (directory := Path(f"/proc/{child.pid}/fd")).exists() and len(list(directory.iterdir())) == self.limit
        ]
        limits = [Path(f"/proc/{pid}/limits").read_text(encoding="ascii") for pid in full]
        require(any(f" {self.limit} " in text for text in limits), f"{self}: no process is at its limit")


#: Stands somewhere as somebody else, and says so.
_STANDS = "import sys, time; print('READY', flush=True); time.sleep(600)"
#: Connects, or fails.
_TRIES = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 1.5)"


def user_stands(lab: Lab) -> None:
    """Let a process of user ``nobody`` run on the client, as ``{program}``."""
    command = [sys.executable, "-SEc", _STANDS]
    prefix = len(lab.command("client", []))
    child = lab.spawn("client", lab.command("client", command, unprivileged=True)[prefix:], first_line="")
    if child.stdout is None or child.stdout.readline() != "READY\n":
        raise LabError("the client's own process did not start")
    lab.values["program"] = str(child.pid)


def user_connects(lab: Lab, address: str, port: int) -> bool:
    """Whether a process of user ``nobody`` on the client connects."""
    words = lab.command("client", [sys.executable, "-SEc", _TRIES, address, str(port)], unprivileged=True)
    return subprocess.run(words, capture_output=True, check=False, timeout=10).returncode == 0


_REFUSALS = {"drop": "drop", "reset": "reject with tcp reset", "refuse": "reject with icmpx type port-unreachable"}


@fault("denied-user")
@dataclass(frozen=True)
class DeniedUser:
    """The client's packet filter stops what user ``nobody`` sends; one of that user's processes is ``{program}``."""

    action: str = "drop"
    family: int = 4

    def inject(self, lab: Lab) -> None:
        user_stands(lab)
        lab.nft(
            "client",
            "table inet denied {\n chain c {\n  type filter hook output priority 0; policy accept;\n"
            f"  meta skuid {NOBODY} meta l4proto tcp {_REFUSALS[self.action]}\n }}\n}}\n",
        )

    def verify(self, lab: Lab) -> None:
        port = int(lab.values["port"])
        address = lab.values["server6" if self.family == 6 else "server"]
        require(try_tcp(lab, "client", address, port) == 0, f"{self}: others cannot connect either")
        require("program" in lab.values, f"{self}: no process of the user's runs")
        owner = Path("/proc", lab.values["program"]).stat().st_uid
        require(owner == NOBODY, f"{self}: the program is user {owner}'s")
        require(not user_connects(lab, address, port), f"{self}: the user connects all the same")


@fault("loopback-down")
@dataclass(frozen=True)
class LoopbackDown:
    """The client's loopback interface is switched off."""

    def inject(self, lab: Lab) -> None:
        lab.ip("client", "link set lo down")

    def verify(self, lab: Lab) -> None:
        said = lab.run("client", "ip", "-j", "link", "show", "lo").stdout
        require("UP" not in json.loads(said)[0]["flags"], f"{self}: {said}")
