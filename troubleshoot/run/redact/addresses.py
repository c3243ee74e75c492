"""Addresses under other numbers: two that share a network share one still, and none leaves its kind.

Bits are turned over from the left, each by a keyed hash of the bits before it (prefix-preserving, after Xu, Fan, Ammar
and Moon, ICNP 2002), so that addresses with a prefix in common keep one of that length. The blocks that mean something
by themselves (private, link-local, shared) keep their own bits; loopback, multicast and documentation stay whole.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Iterable

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: IANA's special-purpose registries: kept whole, as nobody can be told by them.
_WHOLE = [
    ipaddress.ip_network(text)
    for text in (
        *("0.0.0.0/8", "127.0.0.0/8", "192.0.0.0/24", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"),
        *("224.0.0.0/4", "240.0.0.0/4", "::/96", "2001:db8::/32", "3fff::/20", "ff00::/8"),
    )
]
#: What comes behind these bits is turned over.
_KINDS = [
    ipaddress.ip_network(text)
    for text in (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "198.18.0.0/15"),
        *("fe80::/64", "fc00::/8", "fd00::/8", "64:ff9b::/96", "::ffff:0:0/96", "2000::/3", "2001::/32", "2002::/16"),
    )
]
#: How long the prefix of a usual subnet is, and the numbers at its ends, which are kept.
_SUBNET = {4: 24, 6: 64}
_ENDS = {4: (0, 1, 254, 255), 6: (0, 1, 2)}
_NARROW = [network for network in _KINDS if network.prefixlen >= _SUBNET[network.version]]
IPV4 = re.compile(r"(?<![\w.:-])(\d{1,3}(?:\.\d{1,3}){3})(?:/(\d{1,2}))?(?![\w-]|\.\d)")
IPV6 = re.compile(r"(?<![\w.:])([0-9A-Fa-f]{0,4}:[0-9A-Fa-f:.]*[0-9A-Fa-f:])(?:/(\d{1,3}))?(?![\w:])")


def read(text: str) -> _Address | None:
    """Return the address that a text is, ``None`` where it is none; a zone does not count."""
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


def whole(address: _Address) -> bool:
    """Whether an address stays as it is."""
    if _end(address) is not None and any(address in network for network in _NARROW):
        return True  # fe80::1
    edges = (network.network_address for network in _KINDS)
    return address in edges or any(address in network for network in _WHOLE)


def _end(address: _Address) -> int | None:
    """Return the number within its subnet of an address that routers have and guesses try; it tells nothing."""
    number = int(address) & ((1 << address.max_prefixlen - _SUBNET[address.version]) - 1)
    return number if number in _ENDS[address.version] else None


def _ends(network: _Network) -> tuple[_Address, _Address]:
    return network[0], network[-1]


def _bound(network: _Network) -> bool:
    """Whether a network stays as it is, as nothing of its number lies behind a block that keeps its own."""
    edge = network.network_address
    kept = [block.prefixlen for block in (*_WHOLE, *_KINDS) if block.version == network.version and edge in block]
    return network.prefixlen <= max(kept, default=0)


class Addresses:
    """The addresses of one report under the numbers that ``key`` gives them.

    ``networks`` are the report's own: their broadcast address stays theirs, as does the one that names them.
    """

    def __init__(self, key: bytes, networks: Iterable[_Network] = ()) -> None:
        self.key = key
        self.edges: dict[_Address, _Network] = {}
        for network in sorted(set(networks), key=lambda n: n.prefixlen):
            if network.prefixlen < network.max_prefixlen - 1:
                self.edges[network[-1]] = self.edges[network[0]] = network
        self.known: dict[_Address, _Address] = {}

    def put(self, address: _Address) -> _Address:
        """Return what stands for the address."""
        found = self.known.get(address)
        if found is None:
            found = self.known[address] = self._made(address)
        return found

    def network(self, network: _Network) -> _Network:
        """Return what stands for a network."""
        kept = any(network.network_address in other for other in _WHOLE) or not network.prefixlen
        value = int(network.network_address) if kept else self._turned(network.network_address, network.prefixlen)
        made = type(network.network_address)(value)
        return ipaddress.ip_network(f"{made}/{network.prefixlen}", strict=False)

    def badness(self, addresses: Iterable[_Address]) -> int:
        """Return how many addresses are left, or became the edge of a network without having been one."""
        moved = [one for one in addresses if not whole(one)]
        edges = {edge for network in self.edges.values() for edge in _ends(self.network(network))}
        free = [one for one in moved if one not in self.edges or not _bound(self.edges[one])]
        left = {self.put(one) for one in free}.intersection(moved)
        plain = [self.put(one) for one in moved if one not in self.edges and _end(one) is None]
        return 1000 * len(left) + sum(one in edges or _end(one) is not None for one in plain)

    def _made(self, address: _Address) -> _Address:
        if whole(address):
            return address
        inside = getattr(address, "ipv4_mapped", None)
        if inside is not None:
            return ipaddress.IPv6Address(int(address) >> 32 << 32 | int(self.put(inside)))
        network = self.edges.get(address)
        if network is not None:
            return self.network(network)[0 if address == network[0] else -1]
        if address in _TRANSLATED:
            low = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
            return ipaddress.IPv6Address(int(address) >> 32 << 32 | int(self.put(low)))
        end = _end(address)
        if end is not None:
            return type(address)(self._turned(address, _SUBNET[address.version]) | end)
        return type(address)(self._turned(address, address.max_prefixlen))

    def _turned(self, address: _Address, length: int) -> int:
        """Return the number of the address with its first ``length`` bits turned over, the others 0."""
        value, made, width = int(address), 0, address.max_prefixlen
        for at in range(length):
            prefix = value >> (width - at)
            bit = value >> (width - 1 - at) & 1
            made = made << 1 | (bit ^ self._turn(prefix, at, address.version))
        return made << (width - length)

    def _turn(self, prefix: int, length: int, version: int) -> int:
        """Return whether the bit behind a prefix is turned over: never one that leads to a special block."""
        if (version, length, prefix) in _FIXED:
            return 0
        said = b"%d %d %x" % (version, length, prefix)
        return hashlib.blake2b(said, key=self.key, digest_size=1).digest()[0] & 1


_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
#: The prefixes of special blocks, each shorter than its block.
_FIXED = frozenset(
    (network.version, length, int(network.network_address) >> (network.max_prefixlen - length))
    for network in (*_WHOLE, *_KINDS)
    for length in range(network.prefixlen)
)
