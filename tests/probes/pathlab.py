"""A path of three routers between a client and a server, each in a network namespace of its own, IPv4 and IPv6.

    client ---- r1 ---- r2 ---- r3 ---- server        and a listener of TCP 8080 and UDP 8053 on the server
    10.78.1.2   .1 | 10.78.2.1  .2 | 10.78.3.1  .2 | 10.78.4.1  10.78.4.2      fd78:1::/64 to fd78:4::/64

The server is hop 4. The kernel's own ICMP limits stand unless a test lifts them. No packet leaves.
"""

from __future__ import annotations

import itertools

from namespaces import NOBODY, Namespaces

__all__ = ["NOBODY", "PathLab"]

SERVER = {4: "10.78.4.2", 6: "fd78:4::2"}
DEAD = {4: "10.78.4.9", 6: "fd78:4::9"}
ON_LINK_DEAD = {4: "10.78.1.9", 6: "fd78:1::9"}
R1 = {4: "10.78.1.1", 6: "fd78:1::1"}
R2 = {4: "10.78.2.2", 6: "fd78:2::2"}
R3 = {4: "10.78.3.2", 6: "fd78:3::2"}
CLIENT = {4: "10.78.1.2", 6: "fd78:1::2"}

_LISTENER = """
import select, socket
tcp = socket.create_server(("::", 8080), family=socket.AF_INET6, dualstack_ipv6=True)
udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
udp.bind(("::", 8053))
print("ready", flush=True)
while True:
    for one in select.select([tcp, udp], [], [])[0]:
        if one is tcp:
            tcp.accept()[0].close()
        else:
            data, source = udp.recvfrom(2048)
            if data != b"silence":
                udp.sendto(b"answer", source)
"""


class PathLab(Namespaces):
    """The namespaces of one module's tests."""

    HOSTS = ("client", "r1", "r2", "r3", "server")

    def _connect(self) -> None:
        for host in self.HOSTS:
            # a routing loop brings packets back by another way than they would leave
            self.sh(host, "for n in default all; do echo 0 >/proc/sys/net/ipv4/conf/$n/rp_filter; done")
            if host.startswith("r"):
                self.sh(host, "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
        links = list(itertools.pairwise(self.HOSTS))
        for near, far in links:
            self.sh(near, f"ip link add e1 type veth peer name e0 netns {self.name(far)}; ip link set e1 up")
            self.sh(far, "ip link set e0 up")
        for net, (near, far) in enumerate(links, 1):
            one, other = (2, 1) if net == 1 else (1, 2)
            for host, device, number in ((near, "e1", one), (far, "e0", other)):
                self.sh(host, f"ip addr add 10.78.{net}.{number}/24 dev {device}")
                self.sh(host, f"ip addr add fd78:{net}::{number}/64 dev {device} nodad")
        self.sh("client", "ip route add default via 10.78.1.1; ip -6 route add default via fd78:1::1")
        self.sh("server", "ip route add default via 10.78.4.1; ip -6 route add default via fd78:4::1")
        for index, host in enumerate(("r1", "r2", "r3"), 1):
            for net in range(1, 5):
                if net in (index, index + 1):
                    continue
                link, number = (index, 1) if net < index else (index + 1, 2)
                self.sh(host, f"ip route add 10.78.{net}.0/24 via 10.78.{link}.{number}")
                self.sh(host, f"ip -6 route add fd78:{net}::/64 via fd78:{link}::{number}")
        self.start("server", _LISTENER)

    def count(self, host: str, hook: str, match: str) -> None:
        """Count packets with a filter's counter; :meth:`counted` reads it."""
        self.sh(
            host,
            f"nft -f - <<'X'\ntable inet cnt {{\n counter n {{ }}\n chain c {{\n"
            f"  type filter hook {hook} priority -10; policy accept;\n  {match} counter name n\n }}\n}}\nX",
        )

    def counted(self, host: str) -> int:
        """Return how many packets :meth:`count` has seen."""
        return int(self.sh(host, "nft list counter inet cnt n").split("packets")[1].split()[0])

    def calm(self) -> None:
        """Take every filter away and let all forget neighbours and path MTUs, so that tests do not meddle."""
        for host in self.HOSTS:
            self.sh(host, "nft flush ruleset; ip neigh flush all; ip -6 neigh flush all")
            self.sh(host, "ip route flush cache; ip -6 route flush cache")
        self.sh("client", "sysctl -qw net.ipv4.ping_group_range='1 0'")

    def lift_limits(self) -> None:
        """Let every host send ICMP errors without limit.

        There is no way back: a limit put back finds the allowance of every sender at nothing.
        """
        for host in self.HOSTS:
            self.sh(host, "sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0")

    def exhaust(self, ttl: int) -> None:
        """Use up what the device ``ttl`` hops away allows the client in ICMP errors."""
        self.run(f"""
            import socket
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
                flood.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, {ttl})
                for port in range(40000, 40012):
                    flood.sendto(b"x", ({SERVER[4]!r}, port))
                    time.sleep(0.002)
        """)
