"""The packet filter's rules (nf_tables), as far as they may stop what this machine itself sends or receives.

The kernel tells them to CAP_NET_ADMIN only, which a run gives up before it looks at the network: they are read before
that, as they stand, and understood when somebody asks. Layouts: <linux/netfilter/nf_tables.h>.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import msgspec

from probes.base import Context
from probes.system.linux.netlink import DUMP, ask, attributes, whole
from probes.system.rights import Capability, using

_NETLINK_NETFILTER = 12
_GET_CHAIN, _GET_RULE = 0x0A04, 0x0A07  # NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GET…
_HEADER = 4  # struct nfgenmsg
_BRIDGE = 7  # NFPROTO_BRIDGE: frames that this machine passes on
_FORWARD = 2  # NF_INET_FORWARD, of packets that are others'
_DROP, _QUEUE = 0, 3
_SKUID, _SKGID, _META_CGROUP = 10, 11, 23  # enum nft_meta_keys
_SOCKET_CGROUP = 3  # NFT_SOCKET_CGROUPV2
#: What iptables' own extensions are called that look at the sender.
_OWNER, _CGROUP = b"owner", b"cgroup"
#: Targets of iptables that let a packet go on.
_HARMLESS = frozenset({b"MASQUERADE", b"SNAT", b"DNAT", b"REDIRECT", b"LOG", b"NFLOG", b"MARK", b"CONNMARK", b"TCPMSS",
                       b"ACCEPT", b"RETURN", b"NOTRACK", b"CT", b"CHECKSUM", b"CLASSIFY", b"SET"})  # fmt: skip
#: Expressions that end a packet's way, or hand it to a program.
_STOPPING = frozenset({b"reject", b"queue", b"synproxy", b"tproxy"})
#: Longer rulesets are not read to their end: what their rest says is then not known.
MOST_RULES = 4000


class RawRuleset(msgspec.Struct, frozen=True):
    """The kernel's messages: every chain, and at most :data:`MOST_RULES` rules; ``complete`` tells that these are all.

    ``legacy`` names the tables of the older iptables, whose rules are not among them.
    """

    chains: tuple[bytes, ...]
    rules: tuple[bytes, ...]
    complete: bool
    legacy: tuple[str, ...] = ()


class Ruleset(msgspec.Struct, frozen=True):
    """What the rules of this network namespace can do to its own packets.

    ``stopping`` counts the rules that may drop, refuse or hand over a packet of this machine's own, base chains whose
    policy is to drop among them. Of these ``by_user`` look at the user or group that sends, ``by_group`` at its control
    group. ``rules`` counts all. ``complete`` is false where there are more than were read, or some of another kind.
    """

    rules: int
    stopping: int
    by_user: int
    by_group: int
    complete: bool


def read(context: Context) -> RawRuleset | None:
    """Read the rules as they stand; ``None`` where the kernel does not tell this process, or has no such filter."""
    try:
        return _read(context)
    except OSError:
        return None


def _read(context: Context) -> RawRuleset:
    body = struct.pack("=BBH", 0, 0, 0)
    rules: list[bytes] = []
    complete = True
    with using(Capability.NET_ADMIN):
        chains = tuple(ask(context, _GET_CHAIN, DUMP, body, _NETLINK_NETFILTER))
        for rule in ask(context, _GET_RULE, DUMP, body, _NETLINK_NETFILTER) if chains else ():
            if len(rules) == MOST_RULES:
                complete = False
                break
            rules.append(rule)
    return RawRuleset(chains, tuple(rules), complete, tuple(_legacy(context)))


def _legacy(context: Context) -> Iterator[str]:
    for family in ("ip", "ip6"):
        try:
            names = context.read_text(f"/proc/net/{family}_tables_names").split()
        except FileNotFoundError:
            continue  # the older filter is not there at all
        yield from (f"{family} {name}" for name in names)


class _Rule(msgspec.Struct):
    """What one rule can do, and where it leads."""

    stops: bool = False
    by_user: bool = False
    by_group: bool = False
    leads: tuple[str, ...] = ()


_Place = tuple[int, str, str]  # family, table, chain


@whole
def understand(raw: RawRuleset) -> Ruleset:
    """Return what the rules can do. Raises ``OSError`` for messages that end too early."""
    bases: list[_Place] = []
    dropping = 0
    for chain in raw.chains:
        found = attributes(chain, _HEADER)
        hook = attributes(found[4], 0) if 4 in found else {}
        number = int.from_bytes(hook.get(1, b""), "big")
        if chain[0] == _BRIDGE or not hook or (number == _FORWARD and chain[0] != 5):
            continue
        bases.append((chain[0], _text(found[1]), _text(found[3])))
        dropping += int.from_bytes(found.get(5, b"\1"), "big") == _DROP
    rules: dict[_Place, list[_Rule]] = {}
    for message in raw.rules:
        found = attributes(message, _HEADER)
        place = (message[0], _text(found[1]), _text(found[2]))
        rules.setdefault(place, []).append(_understood(found.get(4, b"")))
    reached = _reached(bases, rules)
    stopping = [rule for place in reached for rule in rules.get(place, ()) if rule.stops]
    users, groups = _that_ask(reached, rules)
    return Ruleset(len(raw.rules), len(stopping) + dropping, users, groups, complete=raw.complete and not raw.legacy)


def _that_ask(reached: set[_Place], rules: dict[_Place, list[_Rule]]) -> tuple[int, int]:
    """Count the rules that look at the sender and stop a packet, or lead to where one may be stopped."""
    asking = [rule for place in reached for rule in rules.get(place, ()) if rule.stops or rule.leads or _policy(rule)]
    return sum(rule.by_user for rule in asking), sum(rule.by_group for rule in asking)


def _policy(rule: _Rule) -> bool:
    """Whether the rule lets some senders off, before others are stopped."""
    return rule.by_user or rule.by_group


def _reached(bases: list[_Place], rules: dict[_Place, list[_Rule]]) -> set[_Place]:
    seen: set[_Place] = set()
    waiting = list(bases)
    while waiting:
        place = waiting.pop()
        if place in seen:
            continue
        seen.add(place)
        waiting += [(*place[:2], name) for rule in rules.get(place, ()) for name in rule.leads]
    return seen


def _understood(expressions: bytes) -> _Rule:
    rule = _Rule()
    for name, data in _expressions(expressions):
        if name == b"immediate":
            verdict = attributes(attributes(data.get(2, b""), 0).get(2, b""), 0)
            code = int.from_bytes(verdict.get(1, b"\0\0\0\1"), "big")
            rule.stops |= bool(verdict) and code in (_DROP, _QUEUE)
            rule.leads += (_text(verdict[2]),) if 2 in verdict else ()
        elif name in _STOPPING or (name == b"lookup" and data.get(3) == b"\0\0\0\0"):  # a map of verdicts: any of them
            rule.stops = True
        elif name == b"target":
            rule.stops |= data.get(1, b"").rstrip(b"\0") not in _HARMLESS
        elif name == b"meta":
            key = int.from_bytes(data.get(2, b""), "big")
            rule.by_user |= key in (_SKUID, _SKGID)
            rule.by_group |= key == _META_CGROUP
        elif name == b"socket":
            rule.by_group |= int.from_bytes(data.get(1, b""), "big") == _SOCKET_CGROUP
        elif name == b"match":
            rule.by_user |= data.get(1, b"").rstrip(b"\0") == _OWNER
            rule.by_group |= data.get(1, b"").rstrip(b"\0") == _CGROUP
    return rule


def _expressions(data: bytes) -> Iterator[tuple[bytes, dict[int, bytes]]]:
    """Yield name and attributes of each expression of a rule, in order."""
    offset = 0
    while offset + 4 <= len(data):
        (length,) = struct.unpack_from("=H", data, offset)
        if length < 4:
            return
        found = attributes(data[offset + 4 : offset + length], 0)
        yield found.get(1, b"").rstrip(b"\0"), attributes(found.get(2, b""), 0)
        offset += (length + 3) & ~3


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode("utf-8", "replace")
