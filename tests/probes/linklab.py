"""A client, a neighbour on its link, a router and a server beyond it, each in a network namespace of its own.

    client e0 10.77.1.2/24 ----+
                               +-- bridge b0 router 10.77.1.1/24, e1 10.77.2.1/24 ---- e0 server 10.77.2.2/24
    neighbour e0 10.77.1.200 --+

IPv6 likewise in fd77:1::/64 and fd77:2::/64. Nothing listens but what a test starts, and no packet leaves.
"""

from __future__ import annotations

import time

from namespaces import NOBODY, Namespaces

__all__ = ["NOBODY", "LinkLab"]


class LinkLab(Namespaces):
    """The namespaces of one test."""

    HOSTS = ("client", "neighbour", "router", "server")

    def _connect(self) -> None:
        router = self.name("router")
        self.sh("router", "ip link add b0 type bridge mcast_snooping 0 && ip link set b0 up")
        for host, port, far in (("client", "e0", "pc"), ("neighbour", "e0", "pn"), ("server", "e0", "e1")):
            self.sh(host, f"ip link add {port} type veth peer name {far} netns {router}")
        self.sh("router", "ip link set pc master b0; ip link set pn master b0")
        self.sh("router", "for i in pc pn e1; do ip link set $i up; done")
        for host in ("client", "neighbour", "server"):
            self.sh(host, "ip link set e0 up")
        for host, device, four, six in (
            ("client", "e0", "10.77.1.2/24", "fd77:1::2/64"),
            ("neighbour", "e0", "10.77.1.200/24", "fd77:1::200/64"),
            ("router", "b0", "10.77.1.1/24", "fd77:1::1/64"),
            ("router", "e1", "10.77.2.1/24", "fd77:2::1/64"),
            ("server", "e0", "10.77.2.2/24", "fd77:2::2/64"),
        ):
            self.sh(host, f"ip addr add {four} brd + dev {device}; ip addr add {six} dev {device} nodad")
        for host, four, six in (
            ("client", "10.77.1.1", "fd77:1::1"),
            ("neighbour", "10.77.1.1", "fd77:1::1"),
            ("server", "10.77.2.1", "fd77:2::1"),
        ):
            self.sh(host, f"ip route add default via {four}; ip -6 route add default via {six}")
        self.sh("router", "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")

    def listen(self, host: str, port: int) -> None:
        """Accept connections on a TCP port, of IPv4 and IPv6."""
        code = (
            "import socket,sys\n"
            "s = socket.create_server(('::', int(sys.argv[1])), family=socket.AF_INET6, dualstack_ipv6=True)\n"
            "print('ready', flush=True)\n"
            "while True: s.accept()[0].close()\n"
        )
        self.start(host, code, str(port))

    def mac(self, host: str, device: str = "e0") -> str:
        """Return the link address of an interface."""
        return self.sh(host, f"cat /sys/class/net/{device}/address").strip()

    def settle(self) -> None:
        """Have every host know its neighbours, so that no first packet waits for a link address."""
        for address in ("10.77.1.1", "10.77.1.200", "10.77.2.2", "fd77:1::1", "fd77:1::200", "fd77:2::2"):
            self.sh("client", f"echo x | nc -u -w0 {address} 9 || true")
        time.sleep(0.05)
