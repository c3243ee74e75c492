"""What is made of lost packets: statistics, limits told from losses, and the hop, over paths that lose by the die."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from probes.address import AddressKind, AddressResult
from probes.base import Observation, Status
from probes.connect import ConnectAttempt, ConnectOutcome, ConnectResult
from probes.failure import IcmpError
from probes.ping import Echo, PingMethod, PingRequest, PingResult
from probes.tcp_loss import TcpLossRequest, TcpLossResult
from probes.traceroute import Hop, HopAnswer, TracerouteResult
from troubleshoot.facts import Facts, Key, NotYet, chance, loss_series, losses
from troubleshoot.facts.loss_series import Place
from troubleshoot.facts.losses import Kind, Sample, Told
from troubleshoot.intake.request import request_of
from troubleshoot.intake.target import parse_target
from troubleshoot.knowledge.catalogue import Catalogue
from troubleshoot.options import Options

CATALOGUE = Catalogue()
HOST, PORT = "192.0.2.9", 8080
Answered = Callable[[], bool]


@dataclass
class Way:
    """A path of ``routers`` whose part behind hop ``after`` loses ``share`` of all exchanges.

    ``limited`` gives hops (the host is one more than the last router) the number of echoes that they answer in a row.
    ``no_syn`` is how many connects in a row are taken before a filter stops the rest; ``icmp`` whether echoes may be
    sent from here at all.
    """

    routers: int = 4
    after: int = 2
    share: float = 0.0
    icmp: bool = True
    limited: dict[int, int] = field(default_factory=dict)
    connects: int = 1000
    silent: frozenset[int] = frozenset()
    code: str = "10060"
    rng: random.Random = field(default_factory=lambda: random.Random(1))
    packets: int = 0
    observations: dict[Key, Observation[object]] = field(default_factory=dict)

    def router(self, hop: int) -> str:
        return HOST if hop > self.routers else f"192.0.2.{100 + hop}"

    def gets(self, hop: int) -> bool:
        self.packets += 1
        return hop <= self.after or self.rng.random() >= self.share

    def facts(self) -> Facts:
        entry = CATALOGUE.numbers
        assert entry
        name = next(n for n, number in CATALOGUE.numbers.items() if str(number) == self.code)
        target = parse_target(f"{HOST}:{PORT}", CATALOGUE)
        request = request_of(name, target, Options(), CATALOGUE, privileged=False)
        return Facts(request, CATALOGUE.judgement.thresholds, self.observations)

    def saw(self, probe: str, subject: str, result: object) -> None:
        self.observations[probe, subject] = Observation(
            probe=probe, subject=subject, status=Status.OBSERVED, started=0.0, duration_ms=900.0, result=result
        )

    def ping(self, subject: str, request: PingRequest) -> None:
        hop = next((h for h in range(1, self.routers + 1) if self.router(h) == request.address), self.routers + 1)
        most = self.limited.get(hop, 10_000)
        got = [self.gets(hop) and number < most and hop not in self.silent for number in range(request.count)]
        echoes = tuple(Echo(n, 2.0 if answered else None, 60 if answered else None) for n, answered in enumerate(got))
        method = PingMethod.ICMP_DATAGRAM if self.icmp else PingMethod.UDP
        received, waited_ms = sum(got), 0.0 if all(got) else 900.0
        times = (2.0,) * 3 if received else (None,) * 3
        self.saw(
            "ping", subject, PingResult(request.address, method, len(got), received, echoes, waited_ms, *times, None)
        )

    def connect(self, subject: str, request: TcpLossRequest) -> None:
        answered, parted = [], list[bool | None]()
        for _ in range(request.count):
            self.connects -= 1
            answered.append(self.gets(self.routers + 1) and self.connects >= 0)
            parted.append(self.gets(self.routers + 1) if answered[-1] else None)
        self.saw("tcp-loss", subject, TcpLossResult(HOST, PORT, tuple(answered), 2.0, True, tuple(parted)))

    def begin(self) -> None:
        self.saw("address", HOST, AddressResult(HOST, 4, AddressKind.UNICAST, local=False))
        exceeded = IcmpError(4, 11, 0, None)
        hops = [
            Hop(h, 1, () if h in self.silent else (HopAnswer(self.router(h), exceeded, 1.0),))
            for h in range(1, self.routers + 1)
        ]
        end = Hop(self.routers + 1, 1, (HopAnswer(HOST, None, 2.0),))
        self.saw("traceroute", HOST, TracerouteResult(HOST, "udp", (*hops, end), self.routers + 1, 5))
        syns = 1 if self.gets(self.routers + 1) else 2
        made = ConnectAttempt(ConnectOutcome.CONNECTED, 0.0, 2.0 + 1000 * (syns - 1), syns=syns)
        self.saw("connect", f"{HOST} {PORT}", ConnectResult(HOST, PORT, ConnectOutcome.CONNECTED, (made,)))
        self.ping(HOST, PingRequest(HOST))

    def run(self) -> tuple[str | None, Place | None]:
        """Do what the engine would: every series that is called for, until none is. The weight of a loss, its place."""
        self.begin()
        while True:
            facts = self.facts()
            wanted = list(loss_series.series(facts, HOST))
            weight = loss_series.weight(facts, HOST)
            place = loss_series.search(facts, HOST) if weight in ("certain", "likely") else None
            wanted += place if isinstance(place, tuple) else ()
            new = [one for one in wanted if (one.probe, one.subject) not in self.observations]
            if not new:
                return weight, place if isinstance(place, Place) else None
            for one in new:
                if isinstance(one.request, PingRequest):
                    self.ping(one.subject, one.request)
                else:
                    self.connect(one.subject, one.request)


def runs(count: int, **way: object) -> tuple[Counter[str | None], Counter[int | None], int]:
    """Play a path many times: weights, hops, and the most packets of a run."""
    weights, hops, most = Counter[str | None](), Counter[int | None](), 0
    for seed in range(count):
        one = Way(rng=random.Random(seed), **way)  # type: ignore[arg-type]
        weight, place = one.run()
        weights[weight] += 1
        hops[place.hop if place is not None else None] += 1
        most = max(most, one.packets)
    return weights, hops, most


# -- statistics ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lost", "sent", "low", "high"),
    # R's binom.test
    [(0, 10, 0.0, 0.3085), (1, 40, 0.0006, 0.1316), (5, 10, 0.1871, 0.8129), (10, 10, 0.6915, 1.0), (0, 0, 0.0, 1.0)],
)
def test_the_interval_is_the_exact_one(lost: int, sent: int, low: float, high: float) -> None:
    assert list(chance.interval(lost, sent)) == pytest.approx([low, high], abs=0.0001)


@pytest.mark.parametrize("sent", [1, 5, 21, 44, 124])
def test_none_lost_leaves_three_by_the_number(sent: int) -> None:
    assert chance.ceiling(0, sent) == pytest.approx(1 - 0.05 ** (1 / sent))
    assert chance.ceiling(0, sent) <= 3 / sent
    assert chance.ceiling(sent, sent) == 1.0


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5])
@pytest.mark.parametrize("sent", [20, 83])
def test_the_interval_holds_the_truth_95_times_of_100(share: float, sent: int) -> None:
    outside = sum(
        math.comb(sent, k) * share**k * (1 - share) ** (sent - k)
        for k in range(sent + 1)
        if not chance.interval(k, sent)[0] <= share <= chance.interval(k, sent)[1]
    )
    assert outside <= 0.05


def test_how_rare_a_difference_is() -> None:
    assert chance.rarer(0, 40, 0, 40) == 1.0
    assert chance.rarer(3, 3, 3, 3) == pytest.approx(1.0)
    assert chance.rarer(0, 3, 3, 3) == pytest.approx(1 / 20)  # all three of six fall on the other side
    assert chance.rarer(0, 40, 20, 40) < 1e-6


def test_gaps_are_counted_and_not_their_length() -> None:
    assert Told((Sample(Kind.ECHO, (True, False, False, True, False)),)).gaps == 2
    assert Told((Sample(Kind.ECHO, (False,) * 9), Sample(Kind.SYN, (True, False)))).gaps == 2


def test_a_fin_and_the_syns_after_it_are_lost_in_one_gap() -> None:
    syns = Sample(Kind.SYN, (True, True, False, False, True), (0, 1, 2, 3, 4))
    assert Told((syns, Sample(Kind.FIN, (True, False, True), (0, 1, 4)))).gaps == 1
    assert Told((syns, Sample(Kind.FIN, (False, True, True), (0, 1, 4)))).gaps == 2


# -- what is made of it ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("icmp", [True, False])
@pytest.mark.parametrize("code", ["10060", "10061"])
def test_a_path_that_loses_nothing_costs_few_packets(icmp: bool, code: str) -> None:
    way = Way(icmp=icmp, code=code)
    assert way.run() == (None, None)
    found = losses.hidden(way.facts())
    assert found is not None
    assert losses.clear(way.facts(), found[1]) == icmp  # connections are not made only to count losses
    assert way.packets <= 4 + (40 if icmp else 0) + 1


def test_a_loss_of_a_tenth_is_seldom_missed() -> None:
    weights, hops, most = runs(100, share=0.1)
    assert weights["likely"] + weights["certain"] >= 87
    assert set(hops) <= {2, None}
    assert most < 500


@pytest.mark.parametrize("share", [0.3, 0.5])
def test_without_echoes_a_loss_is_counted_where_a_connection_met_one(share: float) -> None:
    met = [Way(rng=random.Random(seed), share=share, icmp=False) for seed in range(60)]
    weights = [way.run()[0] for way in met]
    lost = [way.observations["connect", f"{HOST} {PORT}"].result.attempts[0].syns > 1 for way in met]  # type: ignore[attr-defined]
    assert lost.count(True) > 10
    found = [weight for weight, hint in zip(weights, lost, strict=True) if hint]
    assert sum(weight in ("certain", "likely") for weight in found) >= len(found) - 1


@pytest.mark.parametrize("share", [0.3, 0.5])
def test_a_heavy_loss_is_never_missed(share: float) -> None:
    weights, _, _ = runs(60, share=share)
    assert weights["certain"] + weights["likely"] >= 59
    assert weights["certain"] >= 50


@pytest.mark.parametrize("icmp", [True, False])
def test_one_packet_in_300_is_no_loss(icmp: bool) -> None:
    weights, _, _ = runs(80, share=1 / 300, icmp=icmp)
    assert weights["certain"] + weights["likely"] == 0


@pytest.mark.parametrize("after", [0, 1, 2, 3, 4])
def test_the_place_is_found_or_none_is_named(after: int) -> None:
    _, hops, _ = runs(60, share=0.4, after=after)
    assert set(hops) <= {after, None}
    assert hops[after] >= 50


@pytest.mark.parametrize("after", [0, 3, 7])
def test_a_long_way_is_halved_and_not_walked(after: int) -> None:
    _, hops, most = runs(40, share=0.5, after=after, routers=7)
    assert set(hops) <= {after, None}
    assert hops[after] >= 30
    assert most < 250


def test_routers_that_limit_their_answers_mislead_nobody() -> None:
    for limited in ({1: 5}, {2: 5}, {1: 4, 3: 6}, {3: 3}, {4: 1}):
        _, hops, _ = runs(40, share=0.4, limited=limited)
        assert set(hops) <= {2, None}, limited


def test_a_mute_router_beside_the_place_leaves_it_open() -> None:
    _, hops, _ = runs(30, share=0.4, silent=frozenset({3}))
    assert set(hops) == {None}


@pytest.mark.parametrize("answered", [4, 12, 30])
def test_a_host_that_limits_echoes_loses_nothing(answered: int) -> None:
    way = Way(limited={5: answered})
    weight, _ = way.run()
    assert weight in (None, "possible")
    assert weight is None or answered == 30  # few enough for chance: left open
    told = losses.told(way.facts(), HOST)
    assert Kind.ECHO in [s.kind for s in told.limited] or answered == 30


def test_a_loss_beside_a_limit_on_echoes_is_still_one() -> None:
    weights, _, _ = runs(40, share=0.3, limited={5: 2})
    assert weights["certain"] + weights["likely"] >= 37


@pytest.mark.parametrize("taken", [3, 9, 15])
def test_a_limit_on_connects_is_no_loss(taken: int) -> None:
    way = Way(icmp=False, connects=taken)
    assert way.run()[0] is None


def test_an_interruption_is_no_share() -> None:
    way = Way()
    way.begin()
    for one in list(loss_series.series(way.facts(), HOST)):
        assert isinstance(one.request, PingRequest)
        way.ping(one.subject, one.request)
        result = way.observations["ping", one.subject].result
        assert isinstance(result, PingResult)
        gone = tuple(Echo(e.sequence) if 10 <= e.sequence < 25 else e for e in result.echoes)
        way.saw("ping", one.subject, PingResult(HOST, result.method, 40, 25, gone, 900.0, 2.0, 2.0, 2.0, 0.0))
    for one in list(loss_series.series(way.facts(), HOST)):
        if (one.probe, one.subject) not in way.observations and isinstance(one.request, PingRequest):
            way.ping(one.subject, one.request)
        elif isinstance(one.request, TcpLossRequest):
            way.connect(one.subject, one.request)
    assert losses.told(way.facts(), HOST).lost == 15 or losses.told(way.facts(), HOST).limited
    assert loss_series.weight(way.facts(), HOST) not in ("certain", "likely")


def test_what_still_runs_decides_nothing() -> None:
    way = Way(share=0.5)
    way.begin()
    series = list(loss_series.series(way.facts(), HOST))
    running = Facts(
        way.facts().request, CATALOGUE.judgement.thresholds, way.observations, [("ping", series[0].subject)]
    )
    with pytest.raises(NotYet):
        loss_series.weight(running, HOST)
