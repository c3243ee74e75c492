"""``resolvectl`` of Linux and ``scutil --dns`` of macOS: which name servers are asked, and what is appended to names.

``resolvectl query NAME`` is a look-up. Sources: resolvectl(1), scutil(8), recorded outputs.
"""

from __future__ import annotations

import re
from typing import Any

from troubleshoot.readers.labels import Labels
from troubleshoot.readers.model import Block, LookUp, NameServers, Reading, Walk
from troubleshoot.readers.words import address

COMMANDS = ("resolvectl", "systemd-resolve", "scutil")
_SERVERS = re.compile(r"^\s*(?:Fallback |Current )?DNS Servers?(?::\s*(?P<more>\S.*)?)$")
_DOMAIN = re.compile(r"^\s*DNS Domain:\s*(?P<names>\S.*)$")
_SCUTIL = re.compile(r"^\s*nameserver\[\d+\] : (?P<address>\S{2,60})\s*$")
_SEARCH = re.compile(r"^\s*(?:search domain\[\d+\]|domain)\s+: (?P<name>\S{1,253})\s*$")
_QUERY = re.compile(r"^(?P<name>[\w.-]{1,253}): (?P<address>[0-9A-Fa-f:.]{2,60})(?:\s+-- link: \S+)?$")
_UNFOUND = re.compile(r"^(?P<name>[\w.-]{1,253}): resolve call failed: (?P<why>.{1,200})$")
_HEADS = re.compile(
    r"^\s*(?:Global|Link \d+ \(\S+\)|Protocols:|resolv.conf mode:|Current Scopes:|Default Route:|LLMNR|MulticastDNS|"
    r"DNSOverTLS|DNSSEC|DNS configuration|resolver #\d+|flags\s+:|reach\s+:|options\s+:|timeout\s+:|order\s+:|"
    r"if_index\s+:|-- |\(\S+\)$)"
)


def starts(line: str, labels: Labels) -> bool:  # noqa: ARG001 - the same in every language
    """Whether the output begins with this line."""
    stripped = line.strip()
    return stripped in ("Global", "DNS configuration") or bool(_UNFOUND.match(line))


def read(block: Block, labels: Labels) -> Reading:  # noqa: ARG001 - as above
    """Read a configuration, or one look-up."""
    walk = Walk(block)
    servers, search, found = dict[str, None](), dict[str, None](), dict[str, list[str]]()
    unfound: list[Any] = []
    more, macos = False, False
    for line in walk:
        heading, scutil, domain = _SERVERS.match(line), _SCUTIL.match(line), _DOMAIN.match(line)
        if heading is not None or (more and all(map(_server, line.split()))):
            words = (heading["more"] or "").split() if heading is not None else line.split()
            fallback = heading is not None and "Fallback" in line
            servers.update({one: None for one in map(_server, words) if one is not None and not fallback})
            more = heading is None or not (fallback or "Current" in line)
            continue
        more = False
        if scutil is not None and (one := address(scutil["address"])) is not None:
            macos = True
            servers[one] = None
        elif domain is not None:
            search.update({name: None for name in domain["names"].split() if not name.startswith("~")})
        elif (named := _SEARCH.match(line)) is not None:
            macos = True
            search.update({named["name"]: None} if "[" in line else {})
        elif (said := _QUERY.match(line.strip())) is not None and (one := address(said["address"])) is not None:
            found.setdefault(said["name"], []).append(one)
        elif (gone := _UNFOUND.match(line)) is not None:
            missing = "not found" in gone["why"] or "does not exist" in gone["why"]
            unfound.append(LookUp(name=gone["name"], eai="EAI_NONAME" if missing else "EAI_AGAIN"))
        elif not _HEADS.match(line) and not (found and address(line.split()[0]) is not None):
            walk.leave()
        elif found and (one := address(line.split()[0])) is not None:
            next(reversed(found.values())).append(one)
    seen: list[Any] = [LookUp(name=name, addresses=tuple(some)) for name, some in found.items()]
    seen += unfound
    if servers:
        seen.append(NameServers(servers=tuple(servers), search=tuple(search)))
    return walk.reading("macos" if macos or block.typed.startswith("scutil") else "linux", seen)


def _server(word: str) -> str | None:
    """Return the address of a server, without the port and the name that may follow it."""
    return address(word.partition("#")[0])
