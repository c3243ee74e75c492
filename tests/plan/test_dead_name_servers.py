"""What is asked about name servers that say nothing, while and after the resolver waits for them."""

from __future__ import annotations

import pytest

from probes.base import Observation, Status
from probes.resolve import Answer, ResolverConfiguration, ResolveResult, ServerAnswer
from probes.route import RouteKind, RouteResult
from troubleshoot.facts import Facts
from troubleshoot.intake.request import request_of
from troubleshoot.intake.target import parse_target
from troubleshoot.knowledge.catalogue import Catalogue
from troubleshoot.options import Options
from troubleshoot.run.plan import wanted

CATALOGUE = Catalogue()
NAME, SERVERS = "www.example.com", ("192.0.2.53", "192.0.2.54")


def questions(*, running: bool, **known: object) -> set[tuple[str, str]]:
    """Return what is asked of either server where the resolution is ``known`` so far and both are neighbours."""
    target = parse_target(f"{NAME}:80", CATALOGUE)
    request = request_of("WSAETIMEDOUT", target, Options(), CATALOGUE, privileged=False)
    configuration = ResolverConfiguration(True, True, SERVERS, (), (), 1, (), ())
    resolution = ResolveResult(
        **{"name": NAME, "ascii_name": NAME, "literal": False, "addresses": (), "system": None, "answers": ()}
        | {"configuration": configuration, **known}  # type: ignore[arg-type]
    )
    results = {("resolve", NAME): resolution} | {
        ("route", server): RouteResult(server, 4, RouteKind.UNICAST, interface="eth0", source="192.0.2.1", on_link=True)
        for server in SERVERS
    }
    observations = {
        key: Observation(
            probe=key[0], subject=key[1], status=Status.OBSERVED, started=0.0, duration_ms=400.0, result=result
        )
        for key, result in results.items()
    }
    facts = Facts(request, CATALOGUE.judgement.thresholds, observations, [("resolve", NAME)] if running else [])
    return {job.key for job in wanted(facts) if job.subject in SERVERS}


LOOKED_FOR = {(probe, server) for probe in ("address", "route", "ping", "neighbours") for server in SERVERS}


def test_a_server_is_looked_for_while_it_is_awaited() -> None:
    assert questions(running=True) == set()
    assert questions(running=True, awaited=SERVERS) == LOOKED_FOR
    assert questions(running=True, awaited=SERVERS[:1]) == {key for key in LOOKED_FOR if key[1] == SERVERS[0]}


def test_a_server_is_not_looked_for_once_the_name_has_an_address() -> None:
    assert questions(running=True, awaited=SERVERS, addresses=("198.51.100.7",)) == set()


@pytest.mark.parametrize("answer", [Answer.NO_ANSWER, Answer.NXDOMAIN])
def test_an_answer_decides_whether_a_server_is_looked_for(answer: Answer) -> None:
    answers = tuple(ServerAnswer(server, 53, NAME, "A", "udp", answer) for server in SERVERS)
    asked = {probe for probe, _ in questions(running=False, answers=answers)}
    assert asked == {"address", "route"} | ({"ping", "neighbours"} if answer is Answer.NO_ANSWER else set())
