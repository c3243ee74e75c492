"""Where to, as texts say it: ``connect to host X port 22``, ``dial tcp [::1]:443``, ``Server: 'mail', Port: 25``.

The forms stand in ``catalogue/texts.toml`` with a rank each. Of a name and its address (``play.example/192.0.2.4:80``)
the address is the end that failed; the name is taken where it stands for several addresses, or where the text speaks
of it elsewhere, too, and of ``localhost``, whose addresses are this machine all the same.
"""

from __future__ import annotations

import functools
import itertools
import re

import msgspec

from troubleshoot.intake.evidence import Line
from troubleshoot.intake.target import is_address, parse_target
from troubleshoot.knowledge.catalogue import Catalogue
from troubleshoot.knowledge.model import PlaceEntry
from troubleshoot.knowledge.text import Refusal

#: Matches of one form in a text: more are none that a person looks through.
_MOST = 64
#: What stands for a group in the patterns of ``texts.toml``.
_GROUPS = {
    "<host>": r"\[?(?P<host>(?:[0-9A-Fa-f]{0,4}:){2,8}[0-9A-Fa-f.]{0,15}(?:%[\w.-]{1,20})?|\w[\w.-]{0,252})\]?",
    "<name>": r"(?P<host>\w[\w-]{0,62}(?:\.\w[\w-]{0,62}){1,10}|localhost)",
    "<address>": r"(?P<address>[0-9A-Fa-f:.]{2,45}(?:%[\w.-]{1,20})?)",
    "<port>": r"(?P<port>[0-9]{1,5})",
    "<path>": r"(?P<path>/[\w./@+-]{1,200})",
}
#: Endings of what stands before a line number (``server.go:149``), and is no host.
_FILES = frozenset(
    (
        *(
            "c",
            "cc",
            "cfg",
            "cnf",
            "conf",
            "cpp",
            "cs",
            "cxx",
            "dart",
            "dll",
            "erl",
            "ex",
            "exe",
            "exs",
            "go",
            "gz",
            "h",
        ),
        *("hpp", "html", "ini", "jar", "java", "js", "json", "jsx", "kt", "lock", "log", "lua", "m", "md", "mjs", "ml"),
        *("php", "pl", "pm", "ps1", "py", "pyx", "rb", "rs", "scala", "sh", "so", "sql", "swift", "tmpl", "toml", "ts"),
        *("tsx", "txt", "vb", "vue", "xml", "yaml", "yml", "zip"),
    )
)


#: IPv4 as a socket of both families shows it (RFC 4291, section 2.5.5.2).
_MAPPED = re.compile(r"^::ffff:(?=[0-9]{1,3}(?:\.[0-9]{1,3}){3}$)", re.IGNORECASE)


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """An end that a text names; ``target`` is how it is written as TARGET. ``rank`` as in ``texts.toml``."""

    target: str
    rank: int
    line: int
    start: int
    by_address: bool


def places(lines: list[Line], catalogue: Catalogue) -> list[Place]:
    """Return the ends that a text names, each once, those that failed first, then in the text's order."""
    found: list[Place] = []
    spans: list[tuple[int, int]] = []
    whole = "\n".join(line.text for line in lines)
    small = whole.lower()
    for entry in sorted(catalogue.places.values(), key=lambda one: -abs(one.rank)):
        if not any(word in small for word in entry.has):
            continue
        for match in itertools.islice(_compiled(entry.pattern).finditer(whole), _MOST):
            span = _span(match)
            if any(start < span[1] and span[0] < end for start, end in spans):
                continue
            place = _place(match, entry, whole, catalogue)
            if entry.rank < 0 or place is not None:
                spans.append(span)
            if entry.rank > 0 and place is not None:
                found.append(place)
    found.sort(key=lambda place: (-place.rank, place.start))
    return list({place.target: place for place in reversed(found)}.values())[::-1]


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"(?<!\?P)<(?:host|name|address|port|path)>", lambda word: _GROUPS[word[0]], pattern))


def _span(match: re.Match[str]) -> tuple[int, int]:
    """Return from where to where the named groups stand: what else the form holds may belong to another one."""
    spans = [match.span(name) for name, value in match.groupdict().items() if value]
    return min((start for start, _ in spans), default=match.start()), max(
        (end for _, end in spans), default=match.end()
    )


def _place(match: re.Match[str], entry: PlaceEntry, whole: str, catalogue: Catalogue) -> Place | None:
    groups = {name: value for name, value in match.groupdict().items() if value}
    target, by_address = _written(groups, entry, whole)
    if target is None or not _can_be(target, catalogue):
        return None
    start = match.start()
    return Place(target=target, rank=entry.rank, line=whole.count("\n", 0, start), start=start, by_address=by_address)


def _can_be(target: str, catalogue: Catalogue) -> bool:
    if target.startswith("unix:"):
        return True
    try:
        parsed = parse_target(target, catalogue)
    except Refusal:
        return False
    last = (parsed.host or "").rpartition(".")[2]
    if parsed.literal or "." not in (parsed.host or ""):
        return True
    return not last.endswith(("Exception", "Error")) and ("://" in target or last.lower() not in _FILES)


def _written(groups: dict[str, str], entry: PlaceEntry, whole: str) -> tuple[str | None, bool]:
    """Return how what was found is written as TARGET, and whether that is an address."""
    if "path" in groups:
        return f"unix:{groups['path'].rstrip('.')}", False
    if "url" in groups:
        url = re.sub(
            r"://[^\s/@]{1,200}@", "://", groups["url"].rstrip(".,;:!?)\\")
        )  # who logs in is nobody's business
        return url if "[" in url else url.rstrip("]"), False
    host, address = groups.get("host", "").rstrip(".-") or None, groups.get("address", "").rstrip(".:") or None
    if host is not None and is_address(host):
        host, address = None, address or host
    if address is not None and not is_address(address):
        address = None
    if host is None and address is None:
        own = entry.pattern.find("<host>") < 0 and "(?P<address>" not in entry.pattern and "<" in entry.pattern
        return (f":{groups['port']}" if own and "port" in groups else None), False
    end = address if address is not None and (host is None or not _name_is_meant(host, whole)) else host
    port = groups.get("port", "").replace(",", "") or (str(entry.port) if entry.port is not None else None)
    transport = "udp" if (groups.get("transport") or entry.transport).lower().startswith("udp") else "tcp"
    return _joined(end or "", port, transport), end == address


def _name_is_meant(host: str, whole: str) -> bool:
    if host.lower() == "localhost":
        return True
    word = rf"(?<![\w.-])(?:[\w.+-]{{1,64}}@)?{re.escape(host)}(?![\w-]|\.\w)"
    return len({whole.rfind("\n", 0, found.start()) for found in re.finditer(word, whole)}) > 1 or bool(
        re.search(rf"@{re.escape(host)}\b", whole)
    )


def _joined(host: str, port: str | None, transport: str) -> str:
    bare = _MAPPED.sub("", host.strip("[]"))
    shown = f"[{bare}]" if ":" in bare and (port is not None or transport == "udp") else bare
    end = shown if port is None else f"{shown}:{int(port) if port.isdecimal() else port}"
    return f"udp://{end}" if transport == "udp" else end
