"""Which answer counts where servers were asked for several names, and which sources a look-up comes to."""

from __future__ import annotations

import pytest

from probes.base import Observation, Status
from probes.resolve import Answer, ResolverConfiguration, ResolveResult, ServerAnswer
from troubleshoot.facts import Facts
from troubleshoot.intake.request import request_of
from troubleshoot.intake.target import parse_target
from troubleshoot.judge.resolver import sources
from troubleshoot.knowledge.catalogue import Catalogue
from troubleshoot.options import Options

CATALOGUE = Catalogue()
SERVER, NAME, VARIANT = "192.0.2.53", "db.corp.test", "db.corp.test.example"


def word(*answers: tuple[str, str, Answer]) -> Answer | None:
    """What counts of a server that gave these ``(name, type, answer)`` to a program that asked for ``NAME``."""
    request = request_of("WSAHOST_NOT_FOUND", parse_target(NAME), Options(), CATALOGUE, privileged=False)
    configuration = ResolverConfiguration(True, True, (SERVER,), (), ("example",), 1, (), ())
    given = tuple(ServerAnswer(SERVER, 53, name, sort, "udp", answer) for name, sort, answer in answers)
    result = ResolveResult(NAME, NAME, False, (), None, given, configuration)
    record = Observation(
        probe="resolve", subject=NAME, status=Status.OBSERVED, started=0.0, duration_ms=1.0, result=result
    )
    facts = Facts(request, CATALOGUE.judgement.thresholds, {("resolve", NAME): record})
    found = facts.names.word(SERVER)
    return found.answer if found is not None else None


@pytest.mark.parametrize("variant", [Answer.NXDOMAIN, Answer.SERVFAIL, Answer.NO_DATA])
@pytest.mark.parametrize("typed", [Answer.NXDOMAIN, Answer.SERVFAIL, Answer.REFUSED])
def test_the_name_as_typed_decides(typed: Answer, variant: Answer) -> None:
    assert word((NAME, "A", typed), (VARIANT, "A", variant)) is typed
    assert word((VARIANT, "A", variant), (NAME, "A", typed)) is typed


def test_an_address_counts_whichever_candidate_has_it() -> None:
    assert word((NAME, "A", Answer.NXDOMAIN), (VARIANT, "A", Answer.ADDRESSES)) is Answer.ADDRESSES


def test_silence_about_the_name_is_not_made_up_for_by_a_variant() -> None:
    assert word((VARIANT, "A", Answer.NXDOMAIN), (NAME, "A", Answer.NO_ANSWER)) is None


def test_no_address_of_one_kind_says_nothing_of_the_other() -> None:
    assert word((NAME, "A", Answer.NO_DATA), (NAME, "AAAA", Answer.NO_DATA)) is Answer.NO_DATA
    assert word((NAME, "A", Answer.NO_ANSWER), (NAME, "AAAA", Answer.NO_DATA)) is None
    assert word((NAME, "A", Answer.SERVFAIL), (NAME, "AAAA", Answer.NO_DATA)) is Answer.SERVFAIL


@pytest.mark.parametrize(
    ("line", "name", "asked"),
    [
        ("files dns", "db.test", {"files", "dns"}),
        ("files", "db.test", {"files"}),
        ("files [NOTFOUND=return] dns", "db.test", {"files"}),
        ("files [notfound=return] dns", "db.test", {"files"}),
        ("files [!NOTFOUND=return] dns", "db.test", {"files", "dns"}),
        ("files [SUCCESS=return] dns", "db.test", {"files", "dns"}),
        ("files mdns4_minimal [NOTFOUND=return] dns", "db.test", {"files", "mdns4_minimal", "dns"}),
        ("files mdns4_minimal [NOTFOUND=return] dns", "printer.local", {"files", "mdns4_minimal"}),
        ("resolve [!UNAVAIL=return] files dns", "db.test", {"resolve", "files", "dns"}),
    ],
)
def test_which_sources_are_asked(line: str, name: str, asked: set[str]) -> None:
    assert sources(tuple(line.split()), name) == asked
