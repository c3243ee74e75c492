"""``Get-NetFirewallRule``: rules of Windows' firewall as objects, without their ports.

Source: Microsoft's page on it.
"""

from __future__ import annotations

import re

from troubleshoot.readers.labels import Labels
from troubleshoot.readers.model import Block, Firewall, FirewallRule, Reading, Walk
from troubleshoot.readers.powershell import objects

COMMANDS = ("get-netfirewallrule",)


def starts(line: str, labels: Labels) -> bool:  # noqa: ARG001 - the property names are English everywhere
    """Whether the output begins with this line."""
    return bool(re.match(r"^(?:Name\s+DisplayName\s+(?:DisplayGroup\s+)?Enabled\s|DisplayName\s+: \S)", line))


def read(block: Block, labels: Labels) -> Reading:  # noqa: ARG001 - as above
    """Read the rules, written either way; which ports they are about is told by another command."""
    walk, rules = Walk(block), list[FirewallRule]()
    for one in objects(walk):
        if "Direction" not in one or "Action" not in one:
            continue
        direction, action = one["Direction"].casefold(), one["Action"].casefold()
        rules.append(
            FirewallRule(
                name=one.get("DisplayName") or one.get("Name", ""),
                direction={"inbound": "in", "outbound": "out"}.get(direction),
                action={"allow": "allow", "block": "drop"}.get(action),
                enabled=one.get("Enabled", "True").casefold() in ("true", "1"),
            )
        )
    whole = bool(block.typed) and not block.arguments and not block.filtered
    return walk.reading("windows", (Firewall(rules=tuple(rules), whole=whole),) if rules else ())
