"""A network for the benches: a client, a router and a server in namespaces of their own. Needs root."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from typing import Self


def run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)


class Routed:
    """10.81.1.1 looks for 10.81.2.2, and for the ``more`` addresses beside it, behind a router with ``rules``."""

    def __init__(self, mark: str, rules: str, *, more: Sequence[str] = ()) -> None:
        self.names = {role: f"{mark}{os.getpid()}{role}" for role in ("c", "r", "s")}
        self._rules = rules
        self._more = more

    def __enter__(self) -> Self:
        c, r, s = self.names.values()
        for name in (c, r, s):
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        for left, right, near, far in ((c, r, "10.81.1.1", "10.81.1.2"), (r, s, "10.81.2.1", "10.81.2.2")):
            ends = f"to{right[-1]}", f"to{left[-1]}"
            run("ip", "-n", left, "link", "add", ends[0], "type", "veth", "peer", ends[1], "netns", right)
            for name, link, address in ((left, ends[0], near), (right, ends[1], far)):
                run("ip", "-n", name, "addr", "add", f"{address}/24", "dev", link)
                run("ip", "-n", name, "link", "set", link, "up")
        for host in self._more:
            run("ip", "-n", s, "addr", "add", f"{host}/24", "dev", "tor")
        run("ip", "-n", c, "route", "add", "default", "via", "10.81.1.2")
        run("ip", "-n", s, "route", "add", "default", "via", "10.81.2.1")
        run("ip", "netns", "exec", r, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        table = f"table ip t {{ chain f {{ type filter hook forward priority 0; {self._rules} }}; }}"
        run("ip", "netns", "exec", r, "nft", table)
        return self

    def __exit__(self, *_: object) -> None:
        for name in self.names.values():
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)

    def command(self, role: str, *words: str) -> list[str]:
        return ["ip", "netns", "exec", self.names[role], *words]
