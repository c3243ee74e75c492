"""Faults of who is who: addresses that two machines have, rules for one user, stub resolvers of the machine itself.

As in ``faults.py``, each checks by other means that it is really there. Importing the module enters them into the
registry.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.lab.faults import fault, require, try_tcp, value
from tests.lab.topology import Lab

#: Where a stub resolver of the machine itself listens.
_STUB = "127.0.0.53"
_NOBODY = 65534


def _mac(lab: Lab, node: str) -> str:
    shown = subprocess.run(
        ["ip", "-j", "-n", lab.ns(node), "link", "show", "e0"], capture_output=True, text=True, check=True
    )
    return str(json.loads(shown.stdout)[0]["address"])


@fault("claimed-twice")
@dataclass(frozen=True)
class ClaimedTwice:
    """The client's neighbour has an address of ``owner`` as well, and whoever is to send there has noted its own."""

    owner: str
    believer: str

    def inject(self, lab: Lab) -> None:
        address = value(lab, self.owner, 4)
        lab.ip("neighbour", f"addr add {address}/32 dev e0")
        lab.ip(self.believer, f"neigh replace {address} lladdr {_mac(lab, 'neighbour')} nud permanent dev e0")

    def verify(self, lab: Lab) -> None:
        address, port = value(lab, "server", 4), int(lab.values["port"])
        for node in (self.owner, "neighbour"):
            held = subprocess.run(["ip", "-n", lab.ns(node), "addr"], capture_output=True, text=True, check=True)
            require(f"inet {value(lab, self.owner, 4)}/" in held.stdout, f"{self}: {held.stdout}")
        require(try_tcp(lab, "client", address, port) != 0, f"{self}: it connects all the same")
        require(try_tcp(lab, "mate", address, port) == 0, f"{self}: the server is not there")


@fault("rule-for-a-user")
@dataclass(frozen=True)
class RuleForAUser:
    """A rule of the client's routing keeps what one user sends from every destination, as some VPN clients do."""

    def inject(self, lab: Lab) -> None:
        lab.ip("client", "route add unreachable default table 200")
        lab.ip("client", f"rule add uidrange {_NOBODY}-{_NOBODY} lookup 200 pref 100")

    def verify(self, lab: Lab) -> None:
        address, port = value(lab, "server", 4), int(lab.values["port"])
        tried = f"exec 3<>/dev/tcp/{address}/{port}"
        require(not lab.run("client", "bash", "-c", tried, check=False).returncode, f"{self}: nobody gets there")
        asked = ["ip", "-n", lab.ns("client"), "route", "get", address, "uid", str(_NOBODY)]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        require(done.returncode != 0, f"{self}: {done.stdout}")


@fault("stub")
@dataclass(frozen=True)
class Stub:
    """A stub resolver of the client answers from ``records`` (see zone.py), and resolv.conf names no other server.

    ``shown`` maps a question (``NAME TYPE``) to what dig must show of its answer.
    """

    records: list[str]
    shown: Mapping[str, str] = field(default_factory=dict)

    def inject(self, lab: Lab) -> None:
        records = [lab.fill(line) for line in self.records]
        lab.serve_zone("client", {"hosts": [_STUB], "records": records, "silent": [], "cut": False})
        lab.etc("client", "resolv.conf", f"nameserver {_STUB}\n", 0o644)

    def verify(self, lab: Lab) -> None:
        for question, wanted in self.shown.items():
            words = ["+tries=1", "+time=2", f"@{_STUB}", *lab.fill(question).split()]
            said = lab.run("client", "dig", *words, check=False).stdout
            require(lab.fill(wanted) in said, f"{self}: {said}")
