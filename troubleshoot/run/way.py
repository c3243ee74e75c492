"""The way from this machine to the target, router by router, and where it breaks: what a screen draws in one line."""

from __future__ import annotations

from collections.abc import Iterator

from probes.failure import IcmpMeaning
from probes.resolve import Answer
from troubleshoot.facts import SILENCE, Facts, Reach, Reading, family_of, plain
from troubleshoot.judge.model import Finding
from troubleshoot.report import Way, WayEnd

#: What the last device of the way does that does not pass a connection on.
_ENDS: dict[Reading, WayEnd] = {Reading.RESET: "refuses", Reading.ICMP: "refuses", Reading.CUT: "resets"}
#: How a service fails that has accepted the connection.
_SERVICE: dict[str, WayEnd] = {
    "service-silent": "silent",
    "accept-queue-full": "silent",
    "service-closes": "closes",
    "service-resets": "resets",
}


def ways(facts: Facts, finding: Finding | None, scope: str | None) -> tuple[Way, ...]:
    """Return the way to the target, one to an address that fails and one to an address that works where they differ.

    ``scope`` is where the finding lies, ``None`` without one.
    """
    if scope == "application":
        return ()
    if scope == "this-machine":
        return (_stays(facts),) if facts.request.target.input else ()
    if facts.names.has_name and not facts.targets:
        found = _to_name_server(facts)
        return () if found is None else (found,)
    reaches = _that_differ(facts)
    if len(reaches) > 1:
        return tuple(_to(facts, reach, finding, scope, _endpoint(facts, reach.address)) for reach in reaches)
    focus = facts.attempts.focus or next(iter(reaches), None)
    if focus is None or focus.reading in (Reading.UNTRIED, Reading.UNDECIDED):
        return ()
    return (_to(facts, focus, finding, scope, facts.request.target.input),)


def _stays(facts: Facts) -> Way:
    return Way(nodes=(facts.request.target.input,), broken=0, end="refuses")


def _to_name_server(facts: Facts) -> Way | None:
    """Return the way to the first name server that says something, else to the first that is silent."""
    servers = facts.names.servers
    if not servers:
        return None
    words = ((server, facts.names.word(server)) for server in servers)
    server, word = next(((s, w) for s, w in words if w is not None), (servers[0], None))
    if word is None or word.answer in SILENCE:
        return Way(nodes=(server,), broken=0, kind="name-server")
    said = "NODATA" if word.answer is Answer.NO_DATA else word.rcode or str(word.answer)
    return Way(nodes=(server,), kind="name-server", end="says", said=said)


def _that_differ(facts: Facts) -> list[Reach]:
    """Return what to draw: the first address that fails and the first that works, or one where they do not differ."""
    found: dict[bool, Reach] = {}
    for reach in facts.attempts.reaches():
        if reach.decided:
            found.setdefault(reach.reading is Reading.CONNECTED, reach)
    return [found[works] for works in (False, True) if works in found]


def _endpoint(facts: Facts, address: str) -> str:
    port = facts.port
    if port is None:
        return address
    return f"[{address}]:{port}" if family_of(address) == 6 else f"{address}:{port}"


def _to(facts: Facts, reach: Reach, finding: Finding | None, scope: str | None, target: str) -> Way:
    """Return the way to one address: as far as routers answered, and what stands behind them."""
    routers = list(_routers(facts, reach.address))
    if reach.reading is Reading.CONNECTED:
        end = _SERVICE.get(finding.cause) if finding is not None else None
        return Way(nodes=(*routers, target), end=end)
    if finding is not None and finding.address is not None and scope in ("local-network", "path"):
        return _breaks_at(routers, reach, finding, scope, target)
    refused_by = reach.icmp.sender if reach.icmp is not None else None
    if reach.reading in _ENDS and (refused_by is None or plain(refused_by) == plain(reach.address)):
        return Way(nodes=(*routers, target), end=_ENDS[reach.reading])
    if refused_by is not None and plain(refused_by) in map(plain, routers):
        kept = routers[: [plain(r) for r in routers].index(plain(refused_by)) + 1]
        return Way(nodes=(*kept, target), broken=len(kept), end="refuses")
    return Way(nodes=(*routers, target), broken=len(routers))


def _breaks_at(routers: list[str], reach: Reach, finding: Finding, scope: str, target: str) -> Way:
    """Return the way up to the device that the finding names."""
    at = plain(finding.address or "")
    hop = finding.hop
    known = [plain(r) for r in routers]
    if scope == "local-network" and at != plain(reach.address) and at not in known[1:]:
        return Way(nodes=(finding.address or "",), broken=0)
    if at in known:
        routers = routers[: known.index(at) + 1]
    elif hop:
        routers = [*(routers + ["?"] * hop)[: hop - 1], finding.address or "?"]
    lost = reach.icmp is not None and reach.icmp.meaning is IcmpMeaning.TIME_EXCEEDED
    end = None if lost else _ENDS.get(reach.reading)
    return Way(nodes=(*routers, target), broken=len(routers), end=end)


def _routers(facts: Facts, address: str) -> Iterator[str]:
    """Yield the routers on the way that are known, nearest first; ``?`` stands for one that keeps silent."""
    route = facts.link.peek_route(address)
    first = route.gateway if route is not None else None
    distance = facts.hops.distance(address)
    last = distance - 1 if distance is not None else facts.hops.last_hop(address)
    if last < 1 and first is not None:
        last = 1
    for ttl in range(1, last + 1):
        router = facts.hops.router_at(address, ttl) or (first if ttl == 1 else None)
        if router is not None and plain(router) == plain(address):
            return
        yield router or "?"
