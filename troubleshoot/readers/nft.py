"""``nft list ruleset``: chains, what their hooks are, and the rules that stop packets.

Source: nft(8), recorded outputs.
"""

from __future__ import annotations

import re

from troubleshoot.readers.labels import Labels
from troubleshoot.readers.model import Block, Firewall, FirewallRule, Reading, Walk

COMMANDS = ("nft",)
_TABLE = re.compile(r"^table \w+ \S+ \{")
_CHAIN = re.compile(r"^\s+chain (?P<name>\S+) \{")
_HOOK = re.compile(r"^\s+type \w+ hook (?P<hook>\w+) .*?;(?:\s*policy (?P<policy>\w+);)?")
_OTHER = re.compile(r"^\s+(?:set|map|flowtable|counter|quota|limit|ct \w+|secmark|synproxy) \S+ \{")
_PORTS = re.compile(r"\b(?P<transport>tcp|udp|th) dport (?P<ports>\{[^}]{0,400}\}|\S+)")
_HOOKS = {
    "input": "in",
    "output": "out",
    "forward": "forward",
    "prerouting": "in",
    "postrouting": "out",
    "ingress": "in",
}
_WORDS = re.compile(r"\b(?P<word>drop|reject|accept)\b")


def starts(line: str, labels: Labels) -> bool:  # noqa: ARG001 - the same in every language
    """Whether the output begins with this line."""
    return bool(_TABLE.match(line))


def read(block: Block, labels: Labels) -> Reading:  # noqa: ARG001 - as above
    """Read all rules; one that jumps to another chain counts there."""
    walk, rules = Walk(block), list[FirewallRule]()
    direction: str | None = None
    name, inside = "", ""
    asked = any(_TABLE.match(line) for line in block.lines) or "ruleset" in block.typed
    for line in walk:
        chain, hook = _CHAIN.match(line), _HOOK.match(line)
        if chain is not None:
            name, direction, inside = chain["name"], None, "chain"
        elif _OTHER.match(line):
            inside = "other"
        elif line.strip() == "}":
            inside = ""
        elif hook is not None and inside == "chain":
            direction = _HOOKS.get(hook["hook"])
            if hook["policy"] in ("drop", "accept"):
                action = "drop" if hook["policy"] == "drop" else "allow"
                rules.append(FirewallRule(name=name, direction=direction, action=action, default=True))
        elif inside == "chain":
            rules.append(_rule(line, name, direction))
        elif not (_TABLE.match(line) or inside == "other" or line.lstrip().startswith("#")):
            walk.leave()
    whole = not block.filtered and ("ruleset" in block.typed or not block.typed)
    seen = (Firewall(rules=tuple(rules[:20_000]), whole=whole),) if asked and not _refused(block) else ()
    return walk.reading("linux", seen)


def _refused(block: Block) -> bool:
    return any("Operation not permitted" in line or line.startswith("Error:") for line in block.lines[:5])


def _rule(line: str, chain: str, direction: str | None) -> FirewallRule:
    said, ports = _WORDS.search(line.partition("comment")[0]), _PORTS.search(line)
    action = {"drop": "drop", "reject": "reject", "accept": "allow"}[said["word"]] if said is not None else None
    return FirewallRule(
        name=chain,
        direction=direction,
        action=action,
        transport=ports["transport"] if ports is not None and ports["transport"] != "th" else None,
        ports=ports["ports"].strip("{} ") if ports is not None else "",
        by_user=bool(re.search(r"\bmeta sk[ug]id\b", line)),
        by_group=bool(re.search(r"\bsocket cgroupv2\b|\bmeta cgroup\b", line)),
    )
