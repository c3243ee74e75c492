"""Fleets of reports with a fault that is known: real reports of the lab, moved to other places.

    python tests/fleet/fleets.py [--seeds N]

prints the confusion matrix of that many fleets of each fault; status 1 where one was wrong and certain. A report is
moved by writing other addresses, names and moments into all of it, so that it stays what a run writes.
"""

from __future__ import annotations

import argparse
import functools
import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from troubleshoot.fleet import Merged, merge  # noqa: E402
from troubleshoot.fleet.view import view_of  # noqa: E402
from troubleshoot.report import Report, from_json  # noqa: E402
from troubleshoot.run.engine import replay  # noqa: E402

DATA = ROOT / "tests/data"
BASES = {
    "healthy": "reports/healthy-name.nobody.json",
    "drop": "fleet/firewall-drop-name.json",
    "refused": "fleet/no-listener-name.json",
    "own": "fleet/local-firewall-drop-name.json",
    "name": "fleet/nameserver-refuses.json",
    "family": "fleet/address-family-path-broken.json",
    "address": "reports/some-addresses-dead.nobody.json",
}
START = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
_ADDRESS = re.compile(r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]{1,4}:[0-9a-f:]*:[0-9a-f]{0,4})(?![\w:]|\.\d)")


@functools.cache
def base(name: str) -> tuple[Report, Any]:
    """Return a real report, judged by today's rules, and the same as plain data."""
    report = replay(from_json((DATA / BASES[name]).read_bytes()), "en")
    return report, msgspec.to_builtins(report)


class Place(msgspec.Struct, frozen=True):
    """Where a report is moved: site and machine by number, the provider behind the site, the name servers it asks.

    ``stale`` gives the name another address; ``swapped`` exchanges the addresses of the target.
    """

    site: int
    machine: int
    provider: int
    resolver: int
    stale: bool = False
    swapped: bool = False


@functools.cache
def _known(name: str, place: Place) -> dict[str, str]:
    """Return which address of a base stands for which one of the place."""
    report, _ = base(name)
    known: dict[str, str] = {}

    def say(address: str | None, four: str, six: str) -> None:
        if address:
            known.setdefault(address, six if ":" in address else four)

    host = 10 + place.machine
    for record in report.probes:
        if record["probe"] == "route" and record["result"]:
            say(record["result"]["source"], f"10.{place.site}.0.{host}", f"fd00:{place.site}::{host:x}")
            say(record["result"]["gateway"], f"10.{place.site}.0.1", f"fd00:{place.site}::1")
        if record["probe"] == "resolve" and record["result"]["configuration"]:
            for n, server in enumerate(record["result"]["configuration"]["servers"]):
                say(server, f"192.0.2.{10 * place.resolver + n}", f"2001:db8:53::{place.resolver}:{n}")
    for n, address in enumerate(sorted(report.target.addresses, reverse=place.swapped)):
        end = (90 if place.stale else 80) + n
        say(address, f"203.0.113.{end}", f"2001:db8:9::{end}")
    for way in report.verdict.ways:
        if way.kind == "target" and len(way.nodes) > 2:
            say(way.nodes[1], f"198.51.100.{place.provider}", f"2001:db8:1::{place.provider}")
            for n, node in enumerate(way.nodes[2:-1]):
                say(node, f"203.0.113.{n + 1}", f"2001:db8:2::{n + 1}")
    return known


def moved(name: str, place: Place, minutes: float) -> Report:
    """Return the report of ``name`` as if it had been made at ``place``, so long after the start."""
    report, plain = base(name)
    known = _known(name, place)
    host, port = (report.target.host or ""), str(report.target.port)
    words = re.compile(rf"{re.escape(host)}|\b{port}\b")

    def text(value: str) -> str:
        value = _ADDRESS.sub(lambda found: known.get(found[0], found[0]), value)
        return words.sub(lambda found: "app.example.test" if found[0] == host else "8443", value)

    def walk(value: Any) -> Any:
        if isinstance(value, str):
            return text(value)
        if isinstance(value, dict):
            held = {key: walk(inner) for key, inner in value.items()}
            if "prefix" in held and held.get("address") in known.values():
                held["prefix"] = 64 if ":" in held["address"] else 24
            if held.get("port") == report.target.port:
                held["port"] = 8443
            if held.get("mac") and held.get("address", "").endswith((".0.1", "::1")):
                held["mac"] = f"02:00:00:00:00:{place.site:02x}"
            return held
        return [walk(inner) for inner in value] if isinstance(value, list | tuple) else value

    made = msgspec.convert(walk(plain), Report)
    started = f"{START + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%S}.000Z"
    return replace(made, started=started, vantage=replace(made.vantage, hostname=f"m{place.site}-{place.machine}"))


class Fleet(msgspec.Struct, frozen=True):
    """Machines by site, each with its place."""

    places: tuple[Place, ...]

    @property
    def sites(self) -> list[int]:
        return sorted({place.site for place in self.places})


def drawn(chance: random.Random) -> Fleet:
    """Return a fleet: some sites, some machines each, some providers; name servers by site or by machine."""
    by_site, providers = chance.random() < 0.5, chance.randint(1, 3)
    places = []
    for site in range(1, chance.randint(1, 6) + 1):
        provider = chance.randint(1, providers)
        resolver = chance.randint(1, 3)
        for machine in range(1, chance.randint(1, 6) + 1):
            asked = resolver if by_site else chance.randint(1, 3)
            places.append(Place(site=site, machine=machine, provider=provider, resolver=asked))
    return Fleet(tuple(places))


def _several(fleet: Fleet, chance: random.Random, runs: int, ill: Callable[[Place, float], str]) -> Iterator[Report]:
    for place in fleet.places:
        for run in range(runs):
            minutes = run * 60 + chance.random() * 0.8
            yield moved(ill(place, minutes), place, minutes)


def _turned(fleet: Fleet, chance: random.Random) -> Iterator[Report]:
    turn, first = chance.choice((30.0, 90.0)), chance.random() < 0.5
    return _several(fleet, chance, 3, lambda _, at: "refused" if (at < turn) == first else "healthy")


def _at_a_site(fleet: Fleet, chance: random.Random) -> Iterator[Report]:
    site = chance.choice(fleet.sites)
    return _several(fleet, chance, 1, lambda place, _: "drop" if place.site == site else "healthy")


def _behind_a_provider(fleet: Fleet, chance: random.Random) -> Iterator[Report]:
    provider = chance.choice(sorted({place.provider for place in fleet.places}))
    return _several(fleet, chance, 1, lambda place, _: "drop" if place.provider == provider else "healthy")


def _some_of_a_site(fleet: Fleet, chance: random.Random) -> Iterator[Report]:
    site = chance.choice(fleet.sites)
    inside = [place for place in fleet.places if place.site == site]
    ill = set(chance.sample(inside, chance.randint(1, max(1, len(inside) - 1))))
    runs = chance.choice((1, 2))
    return _several(fleet, chance, runs, lambda place, _: "drop" if place in ill else "healthy")


def _by_a_resolver(fleet: Fleet, chance: random.Random) -> Iterator[Report]:
    resolver = chance.choice(sorted({place.resolver for place in fleet.places}))
    return _several(fleet, chance, 1, lambda place, _: "name" if place.resolver == resolver else "healthy")


def _stale(fleet: Fleet, chance: random.Random) -> Iterator[Report]:
    resolver = chance.choice(sorted({place.resolver for place in fleet.places}))
    for place in fleet.places:
        old = place.resolver == resolver
        yield moved("refused" if old else "healthy", replace(place, stale=old), chance.random() * 0.8)


def _some_machines(fleet: Fleet, chance: random.Random) -> Iterator[Report]:
    ill = set(chance.sample(fleet.places, min(len(fleet.places), chance.randint(1, 2))))
    return _several(fleet, chance, 1, lambda place, _: "own" if place in ill else "healthy")


def _flapping(fleet: Fleet, chance: random.Random) -> Iterator[Report]:
    share, runs = chance.choice((0.2, 0.5)), chance.choice((1, 3))
    return _several(fleet, chance, runs, lambda *_: "refused" if chance.random() < share else "healthy")


def _flapping_addresses(fleet: Fleet, chance: random.Random) -> Iterator[Report]:
    # Of a few machines all may happen to meet the same address.
    for place in chance.sample(fleet.places, min(len(fleet.places), chance.randint(2, 4))):
        yield moved("address", replace(place, swapped=chance.random() < 0.5), chance.random() * 0.8)


def _all(name: str) -> Callable[[Fleet, random.Random], Iterator[Report]]:
    return lambda fleet, chance: _several(fleet, chance, chance.choice((1, 2)), lambda *_: name)


#: Fault → how its reports are made, and what may be said of it for certain.
FAULTS: dict[str, tuple[Callable[[Fleet, random.Random], Iterator[Report]], frozenset[str]]] = {
    "none": (_all("healthy"), frozenset({"works"})),
    "server": (_all("refused"), frozenset({"everywhere"})),
    "family": (_all("family"), frozenset({"family"})),
    "address": (_all("address"), frozenset({"address"})),
    "time": (_turned, frozenset({"time"})),
    "site": (_at_a_site, frozenset({"site"})),
    "provider": (_behind_a_provider, frozenset({"hop"})),
    "part": (_some_of_a_site, frozenset({"part"})),
    "resolver": (_by_a_resolver, frozenset({"resolver"})),
    "stale": (_stale, frozenset({"answers"})),
    "machine": (_some_machines, frozenset({"machine"})),
    "flapping": (_flapping, frozenset({"comes-and-goes"})),
    "flapping-addresses": (_flapping_addresses, frozenset()),
}


def spoilt(reports: list[Report], chance: random.Random) -> list[Report]:
    """Return the reports as they come in: some without a verdict, some twice, in any order."""
    if chance.random() < 0.3:
        n = chance.randrange(len(reports))
        reports[n] = replace(reports[n], verdict=replace(reports[n].verdict, outcome="inconclusive"))
    if chance.random() < 0.3:
        reports.append(chance.choice(reports))
    chance.shuffle(reports)
    return reports


def played(fault: str, seed: int) -> tuple[Fleet, Merged]:
    """Return a fleet with a fault, and what the merged reports say."""
    chance = random.Random(f"{fault} {seed}")
    fleet = drawn(chance)
    reports = spoilt(list(FAULTS[fault][0](fleet, chance)), chance)
    found = merge([view_of(report, str(n)) for n, report in enumerate(reports)])
    return fleet, found[0]


def confusion(seeds: range, faults: Collection[str] = FAULTS) -> tuple[dict[str, Counter[str]], list[str]]:
    """Return fault → what was said of it, and the fleets of which something wrong was said for certain."""
    table: dict[str, Counter[str]] = {fault: Counter() for fault in faults}
    wrong = []
    for fault in faults:
        right = FAULTS[fault][1]
        for seed in seeds:
            _, merged = played(fault, seed)
            finding = merged.finding
            table[fault][f"{finding.kind} ({finding.confidence})"] += 1
            # What holds of all that was seen is said of it, whatever of the fault was not seen.
            seen_all = not any(view.outcome == "healthy" for view in merged.views)
            nothing = not any(view.fails for view in merged.views)
            # A provider that only one site has is that site's uplink.
            uplink = fault == "provider" and len({view.site for view in merged.views if view.fails}) == 1
            right_here = right | {"site"} if uplink else right
            allowed = (
                right_here | {"alone"} | ({"works"} if nothing else set()) | ({"everywhere"} if seen_all else set())
            )
            if finding.confidence == "certain" and finding.kind not in allowed:
                wrong.append(f"{fault} {seed}: {finding.kind}")
    return table, wrong


def main() -> int:
    """Print the matrix."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=50)
    table, wrong = confusion(range(parser.parse_args().seeds))
    for fault, said in table.items():
        print(f"{fault:18}", ", ".join(f"{count} {kind}" for kind, count in said.most_common()))
    print(f"wrong and certain: {len(wrong)}", *wrong, sep="\n  ")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
