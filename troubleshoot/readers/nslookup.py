"""``nslookup`` of Windows and of BIND.

Formats: the server's name and address, then the name with its addresses, each several lines; complaints begin with
``***`` on Windows and with ``**`` elsewhere. On Windows the server's ``Address`` line carries no port, BIND writes
``192.0.2.53#53``. Sources: nslookup(1), Microsoft's page on ``nslookup``, recorded outputs.
"""

from __future__ import annotations

import re
from typing import Any

from probes.resolve import Answer
from troubleshoot.readers.labels import Labels
from troubleshoot.readers.model import Block, LookUp, Reading, Walk
from troubleshoot.readers.words import address, first_address

COMMANDS = ("nslookup",)
_FIELD = re.compile(r"^\s{0,4}(?P<key>[^\s:][^:]{0,40}?)\s*:\s*(?P<value>\S.*)$")
_COMPLAINT = re.compile(r"^\*{2,3}\s")
_ABOUT = re.compile(r"(?:can't find|find|für|가|を)\s+(?P<name>[A-Za-z0-9_][\w.-]{0,253})")
_NAME = re.compile(r"[A-Za-z0-9_](?:[\w-]{0,62}\.)+[\w-]{1,63}|[\w-]{1,63}(?=:)")
_ALIAS = re.compile(r"^(?P<alias>\S{1,253})\s+canonical name = (?P<name>\S{1,253}?)\.?$")

#: What is asked for, where it is not addresses.
_TYPE = re.compile(r"(?i)[-/](?:q|ty|type|query|querytype)=([a-z0-9+]{1,12})$")


def starts(line: str, labels: Labels) -> bool:
    """Whether the output begins with this line: the name of the server that is asked."""
    field = _FIELD.match(line)
    if labels.says(line, "dns-timed-out") and "dns request" in line.casefold():
        return True
    return field is not None and line[:1].isalpha() is True and labels.label(field["key"], ("dns-server",)) is not None


class _Asked:
    """What was asked of one server."""

    def __init__(self) -> None:
        self.server: str | None = None
        self.name: str | None = None
        self.section = ""
        self.addresses: list[str] = []
        self.aliases: list[str] = []
        self.answer: Answer | None = None
        self.windows = True


_FAILURES = (
    ("nxdomain", Answer.NXDOMAIN),
    ("servfail", Answer.SERVFAIL),
    ("dns-timed-out", Answer.NO_ANSWER),
    ("query-refused", Answer.REFUSED),
    ("no-records", Answer.NO_DATA),
)


def read(block: Block, labels: Labels) -> Reading:
    """Read one look-up."""
    walk, asked = Walk(block), _Asked()
    words = [word for word in block.arguments if not word.startswith("-")]
    for line in walk:
        if not (_complaint(line, asked, labels) or _field(line, asked, labels) or _more(line, asked)):
            walk.leave()
    kind = next((typed[1].upper() for word in block.typed.split() if (typed := _TYPE.match(word))), "")
    name = _asked_for(asked, words[0].rstrip(".") if words else None)
    server = asked.server or (address(words[1]) if len(words) > 1 else None)
    found: list[Any] = []
    about_addresses = kind in ("", "A", "AAAA", "A+AAAA")
    if about_addresses and name is not None and server is not None and (asked.addresses or asked.answer is not None):
        answer = Answer.ADDRESSES if asked.addresses else asked.answer or Answer.NO_DATA
        found.append(
            LookUp(
                name=name.rstrip("."),
                server=server,
                record_type=kind if kind in ("A", "AAAA") else "",
                answer=answer,
                addresses=tuple(dict.fromkeys(asked.addresses)),
                aliases=tuple(asked.aliases),
            )
        )
    return walk.reading("windows" if asked.windows else "linux", found)


def _asked_for(asked: _Asked, typed: str | None) -> str | None:
    """Return the name that was asked for: where it is another's alias, the answer bears that one's name."""
    if typed is not None and typed in asked.aliases:
        return typed
    return asked.aliases[0] if asked.aliases else asked.name or typed


def _complaint(line: str, asked: _Asked, labels: Labels) -> bool:
    timed_out = labels.says(line, "dns-timed-out")
    if not _COMPLAINT.match(line) and not timed_out and not line.startswith(";;"):
        return False
    for meaning, answer in _FAILURES:
        if labels.says(line, meaning):
            asked.answer = _kept(asked.answer, answer, line)
            break
    else:
        return False
    server = first_address(line.partition("#")[0]) if timed_out else None
    asked.server = asked.server or server
    asked.windows = asked.windows and not line.startswith(("** ", ";;"))
    about = _ABOUT.search(line)
    if about is not None and first_address(about["name"]) is None:
        asked.name = asked.name or about["name"].rstrip(".:")
    return True


def _kept(before: Answer | None, answer: Answer, line: str) -> Answer:
    """Return what a complaint comes to: a refused connection says more than that nobody was reached at last."""
    if "connection refused" in line.casefold():
        return Answer.PORT_CLOSED
    return Answer.PORT_CLOSED if answer is Answer.NO_ANSWER and before is Answer.PORT_CLOSED else answer


def _field(line: str, asked: _Asked, labels: Labels) -> bool:
    alias = _ALIAS.match(line.strip())
    if alias is not None:
        asked.aliases.append(alias["alias"])
        return True
    field = _FIELD.match(line)
    if field is None:
        return labels.says(line, "non-authoritative") or line.strip().rstrip(":").casefold() == "timeout was 2 seconds."
    value = field["value"].strip()
    meaning = labels.label(field["key"], ("dns-server", "dns-name", "dns-aliases", "dns-address"))
    if meaning == "dns-server":
        asked.section = "server"
        asked.server = address(value) or asked.server
    elif meaning == "dns-name":
        asked.section, asked.name = "name", value.rstrip(".")
    elif meaning == "dns-aliases":
        asked.section = "aliases"
        asked.aliases.append(value.rstrip("."))
    elif meaning == "dns-address":
        found = address(value.partition("#")[0])
        if found is None:
            return False
        if "#" in value:
            asked.windows = False
        if asked.name is None and asked.section in ("server", ""):
            asked.server = asked.server or found
        else:
            asked.section = "addresses"
            asked.addresses.append(found)
    else:
        return labels.says(line, "non-authoritative")
    return True


def _more(line: str, asked: _Asked) -> bool:
    """Take a further address or alias: it stands alone on its line."""
    found = address(line)
    if found is not None and asked.section in ("addresses", "name"):
        asked.addresses.append(found)
        return True
    if asked.section == "aliases" and _NAME.fullmatch(line.strip()):
        asked.aliases.append(line.strip())
        return True
    return line.strip() == "timeout was 2 seconds."
