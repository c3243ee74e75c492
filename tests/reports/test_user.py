"""The part of a code's page for somebody who does not program, and who else raises a code."""

from __future__ import annotations

import pytest

from troubleshoot.knowledge.catalogue import LANGUAGES, Catalogue
from troubleshoot.knowledge.kinds import Language, System
from troubleshoot.render import user
from troubleshoot.render.explain import code_document, code_page
from troubleshoot.render.style import Style

CATALOGUE = Catalogue()
DESCRIBED = sorted(name for name in CATALOGUE.numbers if CATALOGUE.code(name).checklist)


@pytest.mark.parametrize("name", DESCRIBED)
def test_every_step_that_the_reference_asks_of_a_user_is_told_with_its_command(name: str) -> None:
    told = list(user.steps(CATALOGUE.code(name), CATALOGUE, "en", "windows"))
    by_step = {step["step"]: step for step in told if step["step"]}
    for line in CATALOGUE.checklist(name):
        assert by_step[line.id]["text"].endswith(".")
        if CATALOGUE.steps[line.id].by_hand:
            assert by_step[line.id]["commands"]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("system", ["linux", "windows", "macos"])
def test_the_page_names_the_commands_of_one_system_unbroken(system: System, language: Language) -> None:
    page = code_page("WSAECONNABORTED", CATALOGUE, language, Style(width=60), system=system)
    ping = {"linux": "ping -c 4 'ADDRESS'", "windows": "ping -n 4 ADDRESS", "macos": "ping -c 4 'ADDRESS'"}[system]
    assert ping in page
    assert "SLIP" in page
    assert "{" not in page


def test_what_a_ping_means_is_told() -> None:
    text = " ".join(code_page("WSAECONNRESET", CATALOGUE, "en", Style()).split())
    assert "If it answers, the trouble may have passed (try again now), or the program on it has ended" in text


#: What has to be there, whatever else: the members of families, by the code.
FAMILIES = {
    "WSAEINTR": "WSAAsyncGetHostByName WSAAsyncGetHostByAddr WSAAsyncGetProtoByName WSAAsyncGetServByPort",
    "WSAETIMEDOUT": "recv recvfrom send sendto FD_OOB FD_READ FD_WRITE",
    "WSAEBADF": "accept bind closesocket connect recv send shutdown",
    "WSAEHOSTUNREACH": "connect recv send sendto",
    "WSAECONNRESET": "connect shutdown closesocket",
    "WSAEACCES": "bind connect setsockopt",
}


@pytest.mark.parametrize("name", FAMILIES)
def test_families_of_functions_are_written_out(name: str) -> None:
    document = code_document(name, CATALOGUE, "en")
    assert set(FAMILIES[name].split()) <= {*document["also_raised_by"], *document["functions"]}
    assert not set(document["also_raised_by"]) & set(document["functions"])


def test_what_a_family_leaves_out_is_left_out() -> None:
    assert "closesocket" not in user.raised_by(CATALOGUE.code("WSAECONNABORTED"), CATALOGUE)


def test_a_qualifier_stands_beside_its_function() -> None:
    assert "recv (streams only)" in " ".join(code_page("WSAESHUTDOWN", CATALOGUE, "en", Style()).split())
    fault = " ".join(code_page("WSAEFAULT", CATALOGUE, "en", Style()).split())
    assert "setsockopt (with too short a buffer)" in fault
    for entry in CATALOGUE.codes():
        assert set(entry.qualifiers) <= {*entry.functions, *entry.also_raised_by}, entry.name
        assert not entry.qualifiers or entry.ko.qualifiers.keys() == entry.qualifiers.keys()


def test_families_are_those_that_codes_name() -> None:
    named = {family for entry in CATALOGUE.codes() for family in entry.also_any}
    assert named == set(CATALOGUE.functions)
