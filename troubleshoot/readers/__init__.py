"""Read what the classic network commands wrote: text in, typed observations out, with their vantage.

One module a command (or a few that write alike). Each has ``COMMANDS``, the names by which it is called, ``starts``,
whether its output begins with a line, and ``read``, which turns the lines of one output into a
:class:`~troubleshoot.readers.model.Reading`. Numbers and addresses carry the meaning; words are looked up in
``catalogue/labels.toml``. Nothing is guessed: a line that is not understood is handed back as it stood.
"""

from __future__ import annotations

from msgspec.structs import replace

from troubleshoot.knowledge.catalogue import Catalogue
from troubleshoot.readers import (
    arp,
    curl,
    dig,
    get_netfirewallrule,
    get_netroute,
    get_nettcpconnection,
    getent,
    ifconfig,
    ip,
    ipconfig,
    iptables,
    lsof,
    mtr,
    netsh,
    netstat,
    nft,
    nslookup,
    openssl,
    ping,
    resolve_dnsname,
    resolvers,
    route,
    ss,
    tasklist,
    test_netconnection,
    traceroute,
)
from troubleshoot.readers.labels import Labels
from troubleshoot.readers.model import Block, Reading, Unread, Walk
from troubleshoot.readers.split import Table, split

#: The readers, the more telling headings first.
TABLE = Table(
    (
        *(ping, traceroute, mtr, ipconfig, route, netstat, arp, netsh, tasklist, dig, nslookup, getent, resolvers),
        *(test_netconnection, resolve_dnsname, get_nettcpconnection, get_netroute, get_netfirewallrule),
        *(ip, ifconfig, ss, lsof, nft, iptables, curl, openssl),
    )
)
#: More outputs of one text are not read.
MOST_BLOCKS = 500


def read(text: str, catalogue: Catalogue) -> tuple[Reading, ...]:
    """Return what each output in ``text`` says, in the text's order.

    Never fails, whatever the text is; what was not understood stands in the readings as it was, bounded.
    """
    labels = labels_of(catalogue)
    found = []
    for number, block in enumerate(split(text, TABLE, labels)):
        if number >= MOST_BLOCKS:
            break
        found.append(_read(block, labels))
    return tuple(found)


_KNOWN: dict[int, Labels] = {}


def labels_of(catalogue: Catalogue) -> Labels:
    """Return the labels of a catalogue, made once."""
    known = _KNOWN.get(id(catalogue))
    if known is None:
        _KNOWN.clear()
        known = _KNOWN[id(catalogue)] = Labels(catalogue.labels)
    return known


def _read(block: Block, labels: Labels) -> Reading:
    if not block.command:
        return _of_nobody(block)
    reading: Reading = TABLE.modules[block.command].read(block, labels)
    if not reading.seen and not block.typed and len(reading.unread) == len([one for one in block.lines if one.strip()]):
        return _of_nobody(block)
    language = labels.language("\n".join(block.lines[:80])[:8000]) if reading.system == "windows" else None
    return replace(reading, language=language)


def _of_nobody(block: Block) -> Reading:
    """Return lines of no known command as they stand."""
    walk = Walk(block)
    for _ in walk:
        walk.leave()
    reading = walk.reading(None, ())
    if not block.typed:
        return replace(reading, command="")
    typed = Unread(max(block.first - 1, 1), block.typed[:400])
    return replace(reading, command="", unread=(typed, *reading.unread))
