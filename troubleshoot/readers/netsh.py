"""``netsh``: excluded and dynamic ports, the catalogue of Winsock, the rules of the firewall.

Formats: titles and labels are in Windows' language, numbers carry the meaning. The excluded ranges are two columns of
ports with a star where an administrator set them. Sources: Microsoft's pages on ``netsh``, recorded outputs.
"""

from __future__ import annotations

import re
from typing import Any

from troubleshoot.readers.labels import Labels
from troubleshoot.readers.model import Block, Firewall, FirewallRule, Ports, Providers, Reading, Walk

COMMANDS = ("netsh",)
_RANGE = re.compile(r"^\s*(?P<first>\d{1,5})\s+(?P<last>\d{1,5})\s*(?P<star>\*)?\s*$")
_FIELD = re.compile(r"^(?P<key>\S[^:\uff1a]{0,60}?)\s*[:\uff1a]\s*(?P<value>.*)$")
_RULE_FIELDS = (
    *("rule-name", "rule-enabled", "rule-direction", "rule-protocol", "rule-local-port", "rule-remote-port"),
    *("rule-action", "rule-other"),
)
_ENTRY_FIELDS = ("entry-type", "entry-name", "entry-path", "entry-number", "entry-other")
_RULE = re.compile(r"^\s*[-=]{3,}(?:\s+[-=]{3,})*\s*$")


def starts(line: str, labels: Labels) -> bool:
    """Whether the output begins with this line."""
    if labels.says(line, "excluded-ranges", "dynamic-ports", "winsock-entry") and len(line) < 120:
        return True
    field = _FIELD.match(line)
    return field is not None and labels.label(field["key"], ("rule-name",)) is not None and "  " in line


def read(block: Block, labels: Labels) -> Reading:
    """Read whatever of the four it is."""
    text = "\n".join(block.lines[:12])
    typed = block.typed.casefold()
    if labels.says(text, "winsock-entry") or "winsock" in typed:
        return _catalogue(block, labels)
    if "excludedport" in typed or labels.says(text, "excluded-ranges"):
        return _excluded(block, labels)
    if "dynamicport" in typed or labels.says(text, "dynamic-ports"):
        return _dynamic(block, labels)
    return _rules(block, labels)


def _protocol(block: Block) -> tuple[str, int | None]:
    """Return transport and family that a table of ports is of: its title names both in every language."""
    text = f"{block.typed} {' '.join(block.lines[:4])}".casefold()
    version = 6 if "ipv6" in text else 4 if "ipv4" in text else None
    return ("udp" if re.search(r"\budp\b", text) else "tcp"), version


def _excluded(block: Block, labels: Labels) -> Reading:
    walk, ranges = Walk(block), list[tuple[int, int, bool]]()
    titled = False
    for line in walk:
        found = _RANGE.match(line)
        if found is not None and int(found["first"]) <= int(found["last"]) <= 65535:
            ranges.append((int(found["first"]), int(found["last"]), bool(found["star"])))
        elif labels.says(line, "excluded-ranges"):
            titled = True
        elif not (
            _RULE.match(line) or labels.says(line, "port-columns", "administered-ports") or line.startswith("* ")
        ):
            walk.leave()
    transport, version = _protocol(block)
    known = bool(ranges) or titled
    return walk.reading(
        "windows", [Ports(transport=transport, family=version, excluded=tuple(ranges))] if known else []
    )


def _dynamic(block: Block, labels: Labels) -> Reading:
    walk, first, count = Walk(block), 0, 0
    for line in walk:
        field = _FIELD.match(line)
        meaning = labels.label(field["key"], ("first-port", "number-of-ports")) if field is not None else None
        if field is not None and meaning is not None and field["value"].strip().isdigit():
            value = int(field["value"].strip()[:6])
            first, count = (value, count) if meaning == "first-port" else (first, value)
        elif not (_RULE.match(line) or labels.says(line, "dynamic-ports")):
            walk.leave()
    transport, version = _protocol(block)
    last = first + count - 1
    seen = [Ports(transport=transport, family=version, dynamic=(first, last))] if 0 < first <= last < 65536 else []
    return walk.reading("windows", seen)


def _catalogue(block: Block, labels: Labels) -> Reading:
    walk, entries = Walk(block), list[dict[str, str]]()
    for line in walk:
        field = _FIELD.match(line)
        meaning = labels.label(field["key"], _ENTRY_FIELDS) if field is not None else None
        if labels.says(line, "winsock-entry"):
            entries.append({})
        elif field is not None and meaning is not None and entries:
            entries[-1].setdefault(meaning, field["value"].strip())
        elif not _RULE.match(line) and not (labels.says(line, "entry-other") and len(line) < 60):
            walk.leave()
    listed = []
    for one in entries[:256]:
        number = re.search(r"\d{1,9}", one.get("entry-number", ""))
        kind = one.get("entry-type", "")
        how = ("chain" if "chain" in kind.casefold() else "layered") if labels.says(kind, "entry-layered") else "base"
        if number is not None:
            listed.append((int(number[0]), one.get("entry-name", ""), how, one.get("entry-path") or None))
    return walk.reading("windows", [Providers(entries=tuple(listed))] if listed else [])


def _rules(block: Block, labels: Labels) -> Reading:
    walk, rules = Walk(block), list[dict[str, str]]()
    nothing = False
    for line in walk:
        field = _FIELD.match(line)
        meaning = labels.label(field["key"], _RULE_FIELDS) if field is not None else None
        if field is not None and meaning == "rule-name":
            rules.append({meaning: field["value"].strip()})
        elif field is not None and meaning is not None and rules:
            rules[-1].setdefault(meaning, field["value"].strip())
        elif labels.says(line, "no-rules"):
            nothing = True
        elif not _RULE.match(line) and line.strip().casefold() not in ("ok", "ok.", "확인됨"):
            walk.leave()
    found = tuple(_rule(one, labels) for one in rules[:20_000])
    # A name may have been asked for; all of them are asked for by name=all.
    asked = block.typed.casefold().replace('"', "")
    whole = "name=all" in asked and "dir=" not in asked and not block.filtered
    seen: list[Any] = [Firewall(rules=found, whole=whole)] if found or nothing else []
    return walk.reading("windows", seen)


def _rule(one: dict[str, str], labels: Labels) -> FirewallRule:
    direction = labels.label(one.get("rule-direction", ""), ("inbound", "outbound"))
    action = labels.label(one.get("rule-action", ""), ("allow", "block"))
    protocol = one.get("rule-protocol", "").casefold()
    ways = {"inbound": "in", "outbound": "out"}
    ports = one.get("rule-remote-port" if direction == "outbound" else "rule-local-port", "")
    return FirewallRule(
        name=one["rule-name"],
        direction=ways.get(direction or ""),
        action={"allow": "allow", "block": "drop"}.get(action or ""),
        enabled=labels.label(one.get("rule-enabled", "yes"), ("yes",)) is not None,
        transport=protocol if protocol in ("tcp", "udp") else None,
        ports="" if labels.label(ports, ("any",)) is not None else ports,
    )
