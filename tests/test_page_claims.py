"""What the pages say in prose is true of the program: forms, numbers, rights and fields that a reader relies on."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from inspect import signature
from pathlib import Path

import pytest

from probes.budget import Budget
from probes.system.linux import confinement
from probes.system.rights import Capability
from troubleshoot.intake.codes import parse_code
from troubleshoot.intake.target import parse_target
from troubleshoot.intake.words import said
from troubleshoot.knowledge.catalogue import LANGUAGES, Catalogue
from troubleshoot.knowledge.text import Refusal

ROOT = Path(__file__).parents[1]
CATALOGUE = Catalogue()


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def paragraph(name: str, start: str) -> str:
    """Return the paragraph of a page that begins so, on one line."""
    (found,) = [part for part in page(name).split("\n\n") if part.startswith(start)]
    return " ".join(found.split())


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


# -- README ---------------------------------------------------------------------------------------------------------


def test_python_languages_and_licence_are_those_of_the_project() -> None:
    project = tomllib.loads(page("pyproject.toml"))["project"]
    text = " ".join(page("README.md").split())
    assert f"Python {project['requires-python'].removeprefix('>=')} or later" in text
    assert f"{project['license']} licence" in text
    assert page("LICENSE").startswith("MIT License")
    assert "English and Korean" in text
    assert set(LANGUAGES) == {"en", "ko"}


# -- docs/use.md ----------------------------------------------------------------------------------------------------


def test_every_form_of_a_code_is_read() -> None:
    text = paragraph("docs/use.md", "**CODE**").partition("or any text")[0]
    forms = quoted(text)
    assert len(forms) >= 7
    read = {parse_code(form, CATALOGUE) for form in forms}
    assert read == {"WSAECONNREFUSED", "WSAHOST_NOT_FOUND"}  # EAI_NONAME is the one name among them


@pytest.mark.parametrize("language", ["ko", "de", "fr", "es", "zh", "ja"])
def test_sentences_of_windows_are_known_in_each_language(language: str) -> None:
    assert "(English, Korean, German, French, Spanish, Chinese, Japanese)" in paragraph("docs/use.md", "**CODE**")
    knowing = [code for code, sayers in CATALOGUE.sentences.items() if any(s == language for s in sayers)]
    assert len(knowing) >= 10


def test_a_number_with_two_meanings_is_refused_until_it_is_said_whose_it_is() -> None:
    with pytest.raises(Refusal):
        parse_code("53", CATALOGUE)
    assert parse_code("53", CATALOGUE, "macos") == "WSAECONNABORTED"


def test_every_form_of_a_target_is_read() -> None:
    text = paragraph("docs/use.md", "**TARGET**")
    plain, _, odd = text.partition("Other ways of writing")
    forms = [form.replace("service", "ftp").replace("port", "21") for form in quoted(plain)]
    assert len(forms) >= 6
    for form in forms:
        parse_target(form, CATALOGUE)
    for form in quoted(odd.partition("connection strings")[0]):
        words = said(["10061", form], CATALOGUE)
        assert words.target is not None
        assert parse_target(words.target, CATALOGUE).host is not None
    assert said(["host:21", "10061"], CATALOGUE).name == "WSAECONNREFUSED"
    with pytest.raises(Refusal, match="on this machine"):
        parse_target("unix:/run/x.sock", CATALOGUE)


# -- docs/wire.md ---------------------------------------------------------------------------------------------------


def test_the_bounds_are_those_of_the_budget() -> None:
    text = " ".join(page("docs/wire.md").split())
    defaults = {name: one.default for name, one in signature(Budget.__init__).parameters.items()}
    (sockets, burst, rate) = re.findall(
        r"allows (\d+) sockets and a burst of (\d+) packets, then (\d+) packets a second", text
    )[0]
    assert (int(sockets), int(burst), float(rate)) == (
        defaults["sockets"],
        defaults["burst"],
        defaults["packets_per_s"],
    )
    thresholds = tomllib.loads(page("catalogue/judgement.toml"))["thresholds"]
    (most,) = re.findall(r"A run sends (\d+) packets at most", text)
    assert thresholds["packets_most"] == int(most)
    assert "At most three connections are made to a port" in text
    assert thresholds["connections_most"] == 3
    (percent,) = re.findall(r"a loss of more than (\d+) % is ruled out", " ".join(page("docs/verdict.md").split()))
    assert thresholds["loss_hidden"] == int(percent) / 100


def test_what_is_said_to_services_has_its_source() -> None:
    services = tomllib.loads(page("catalogue/services.toml"))
    speaking = {name: one for name, one in services.items() if "opening" in one or "opening_hex" in one}
    assert len(speaking) > 10
    assert [name for name, one in speaking.items() if not one.get("source")] == []


def test_capabilities_that_stay_are_those_that_are_named() -> None:
    text = paragraph("docs/wire.md", "A run gives up at once")
    named = {name.removeprefix("CAP_") for name in re.findall(r"CAP_[A-Z_]+", text)}
    source = Path(confinement.__file__).read_text(encoding="utf-8")
    kept = {name for name in re.findall(r"Capability\.([A-Z_]+)", source) if name != "SYS_CHROOT"}
    assert named == kept
    assert kept <= set(Capability.__members__)


def test_doctor_is_information_and_no_verdict() -> None:
    text = paragraph("docs/wire.md", "`wsadiag doctor` tells")
    done = subprocess.run(
        [sys.executable, "-m", "troubleshoot", "doctor", "--no-network", "--json"],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
    document = json.loads(done.stdout)
    assert document["schema"] in quoted(text)
    fields = quoted(text.partition("where `items` holds")[2])
    states = {"there", "missing", "unknown", "not-asked"}
    weights = {"essential", "certainty", "none"}
    assert {name for item in document["items"] for name in item} == set(fields) - states - weights
    assert {item["state"] for item in document["items"]} <= states <= set(fields)
    assert {item["weight"] for item in document["items"]} <= weights <= set(fields)


# -- docs/machine.md ------------------------------------------------------------------------------------------------


def test_codes_of_this_machine_are_looked_at_there() -> None:
    rows = re.findall(r"^\| ([^|]*\d{5}[^|]*) \|", page("docs/machine.md"), re.MULTILINE)
    assert len(rows) >= 9
    beyond = {"traceroute", "ping-remote", "ping-router", "router-configured"}
    for number in {int(one) for row in rows for one in re.findall(r"\b1\d{4}\b", row)}:
        (name,) = CATALOGUE.names_of(number)[:1]
        entry = CATALOGUE.code(name)
        assert {item.step for item in entry.checklist} - beyond or entry.developer_hints, name
