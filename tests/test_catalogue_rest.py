"""The catalogue beside the described codes: steps, causes, plain constants, POSIX numbers, services, schema check.

The ids stand in ``data/contract.toml`` a second time on purpose: they are a contract with every script that reads a
report. What is there and not in the contract yet is held to everything else here.
"""

import csv
import errno
import re
import shutil
import socket
import string
import sys
import tomllib
import unicodedata
from pathlib import Path
from typing import get_args

import dns.flags
import dns.message
import dns.rdatatype
import pytest

from probes.table import TABLE
from tests.drafts import untranslated
from troubleshoot.knowledge.catalogue import LANGUAGES, Catalogue, CatalogueError
from troubleshoot.knowledge.kinds import Scope
from troubleshoot.knowledge.model import CauseTranslation, CodeEntry
from troubleshoot.render.explain import code_page
from troubleshoot.render.style import Style
from troubleshoot.report import Confidence, Outcome, Reproduced, StepStatus
from troubleshoot.reproduce.claims import codes, reproducible

DATA = Path(__file__).parent / "data"
FOLDER = Path(__file__).parents[1] / "catalogue"
CONTRACT = tomllib.loads((DATA / "contract.toml").read_text(encoding="utf-8"))
STEPS: list[str] = CONTRACT["steps"]
#: What stands in the catalogue now, read before any test so that each step and each cause is a test of its own.
CAUSES = sorted(path.stem for path in FOLDER.glob("causes/*.toml"))

HEADERS = {
    row["name"]: int(row["value"])
    for row in csv.DictReader((DATA / "winsock-codes.csv").read_text(encoding="utf-8").splitlines())
}


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Copy the catalogue, so that the copy can be broken."""
    copy = tmp_path / "catalogue"
    shutil.copytree(FOLDER, copy)
    return copy


def width(text: str) -> int:
    """Columns of a terminal: wide and full-width characters take two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def fields(text: str) -> set[str]:
    """Return the placeholders; a stray brace fails here as it would when they are filled in."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def assert_hangul(text: str) -> None:
    """What lacks is told by test_drafts.py."""
    assert not text or re.search("[가-힣]", text), text


def commands(text: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", text))


# -- steps -----------------------------------------------------------------------------------------------------


def test_the_steps_of_the_contract_are_there_in_its_order(catalogue: Catalogue) -> None:
    assert [step for step in catalogue.steps if step in STEPS] == STEPS


@pytest.mark.parametrize("step", Catalogue().steps)
def test_a_step_has_a_short_title_a_purpose_and_whole_commands(catalogue: Catalogue, step: str) -> None:
    entry = catalogue.steps[step]
    for words in (entry.title, entry.purpose):
        assert words.en.strip()
        assert_hangul(words.ko)
        assert "\n" not in words.en + words.ko
    assert max(width(entry.title.en), width(entry.title.ko)) <= 34
    if entry.by_hand is None:
        assert step in {"ping-remote-subnet", "api-usage"}  # an address, or a program, that only the user knows
        return
    command = catalogue.commands[entry.by_hand]
    for system in ("linux", "windows", "macos"):
        forms = command.on(system)
        assert forms
        assert all(fields(form) <= {"host", "port", "address", "router", "service"} for form in forms)


def test_titles_tell_the_steps_apart(catalogue: Catalogue) -> None:
    for titles in ([s.title.in_(language) for s in catalogue.steps.values()] for language in LANGUAGES):
        assert len(set(titles)) == len(titles)


# -- causes ----------------------------------------------------------------------------------------------------


def test_the_causes_of_the_contract_are_there(catalogue: Catalogue) -> None:
    assert CONTRACT["causes"].keys() <= catalogue.causes.keys()
    assert not CONTRACT["causes"].keys() & CONTRACT["reserved"].keys()


@pytest.mark.parametrize("cause", CAUSES)
def test_a_cause_lies_where_the_contract_says(catalogue: Catalogue, cause: str) -> None:
    scopes = catalogue.causes[cause].scopes
    assert set(scopes) == set({**CONTRACT["causes"], **CONTRACT["reserved"]}.get(cause, scopes))


def test_the_words_of_a_report_are_those_of_the_contract() -> None:
    words = {"outcomes": Outcome, "confidences": Confidence, "statuses": StepStatus, "reproductions": Reproduced}
    assert {name: list(get_args(kind)) for name, kind in words.items()} == {name: CONTRACT[name] for name in words}
    assert list(get_args(Scope)) == CONTRACT["scopes"]


@pytest.mark.parametrize("cause", CAUSES)
def test_a_cause_says_what_it_is_and_what_to_do_in_both_languages(catalogue: Catalogue, cause: str) -> None:
    entry = catalogue.causes[cause]
    for text in map(entry.text, LANGUAGES):
        assert 0 < width(text.title) <= 60
        sentences = re.findall(r"[.?!](?:\s|$)", text.explanation)
        assert 2 <= len(sentences) <= 4, text.explanation
        assert not fields(text.explanation)
        assert "default" in text.summary
        assert set(text.summary) == set(entry.en.summary)
        assert "default" in text.actions
        assert set(text.actions) <= set(text.summary)
        for actions in text.actions.values():
            assert 2 <= len(actions) <= 5
            assert all(action.endswith(".") for action in actions)
            # something must be left where the placeholders of the others have no value
            given = {"target", "host"}.union(*map(fields, text.summary.values()))
            given |= {f"run_{name.replace('-', '_')}" for name in catalogue.commands}
            assert any(fields(action) <= given for action in actions)
    assert_hangul(entry.ko.title)


@pytest.mark.parametrize("cause", CAUSES)
def test_a_summary_names_what_fails_in_both_languages(catalogue: Catalogue, cause: str) -> None:
    # That a rule fills in every place of its sentence is test_registry's business.
    entry = catalogue.causes[cause]
    for variant, english in entry.en.summary.items():
        korean = entry.text("ko").summary[variant]
        assert fields(english) == fields(korean)
        assert fields(english) & {"target", "name"}
        assert english.endswith(".")
        assert variant not in entry.ko.summary or korean.endswith(("니다.", "십시오."))


@pytest.mark.parametrize("cause", CAUSES)
def test_both_languages_give_the_same_actions(catalogue: Catalogue, cause: str) -> None:
    entry = catalogue.causes[cause]
    assert list(entry.ko.actions) == [variant for variant in entry.en.actions if variant in entry.ko.actions]
    for variant, actions in entry.text("ko").actions.items():
        assert len(entry.ko.actions.get(variant, ())) <= len(actions)
        for english, korean in zip(entry.en.actions[variant], actions, strict=True):
            assert fields(english) == fields(korean)
            assert commands(english) == commands(korean)


@pytest.mark.parametrize("cause", CAUSES)
def test_korean_particles_do_not_depend_on_the_value(catalogue: Catalogue, cause: str) -> None:
    """A particle right behind a value stands in both its forms, because the last sound of the value is not known."""

    def texts(text: CauseTranslation) -> list[str]:
        return [*text.summary.values(), *(a for actions in text.actions.values() for a in actions)]

    for text in texts(catalogue.causes[cause].ko):
        bare = re.search(r"\}(은|는|이|가|을|를|과|와|으로|로|이라|라)(?=[\s,.]|$)", text)
        assert bare is None, text


# -- plain constants -------------------------------------------------------------------------------------------


def test_every_constant_of_the_headers_has_an_entry(catalogue: Catalogue) -> None:
    assert {name: catalogue.numbers.get(name) for name in HEADERS} == HEADERS


def test_every_entry_is_a_constant_of_the_headers(catalogue: Catalogue) -> None:
    # WSABASEERR is a summand of the others, which the reference describes all the same.
    assert catalogue.numbers.keys() - HEADERS.keys() == {"WSABASEERR"}


def test_an_undescribed_constant_says_what_it_means_and_who_says_so(catalogue: Catalogue) -> None:
    plain = [entry for entry in catalogue.codes() if not entry.described]
    assert plain
    for entry in plain:
        assert entry.title.en
        assert max(width(entry.title.en), width(entry.title.ko)) <= 60
        assert_hangul(entry.title.ko)
        assert_hangul(entry.meaning.ko)
        assert entry.meaning.en.endswith(".")
        assert entry.functions or entry.also_raised_by, entry.name
        assert entry.notes, entry.name
        assert all(note.text and note.source for note in entry.notes)


def test_aliases_share_the_number_and_the_checklist(catalogue: Catalogue) -> None:
    aliases = {entry.name: entry.alias_of for entry in catalogue.codes() if entry.alias_of}
    assert aliases == {"WSANO_ADDRESS": "WSANO_DATA", "WSA_QOS_EUNKOWNPSOBJ": "WSA_QOS_EUNKNOWNPSOBJ"}
    for alias, name in aliases.items():
        assert catalogue.numbers[alias] == catalogue.numbers[name]
        assert catalogue.names_of(catalogue.numbers[name]) == (name, alias)
        assert catalogue.checklist(alias) == catalogue.checklist(name)


def test_every_checklist_is_there_and_made_of_known_steps(catalogue: Catalogue) -> None:
    for name in catalogue.numbers:
        steps = [step.id for step in catalogue.checklist(name)]
        assert steps, name
        assert set(steps) <= catalogue.steps.keys()
        assert len(steps) == len(set(steps))


def test_cross_references_lead_to_entries(catalogue: Catalogue) -> None:
    for entry in catalogue.codes():
        assert set(entry.see_also) <= set(catalogue.numbers), entry.name


# -- Korean ----------------------------------------------------------------------------------------------------

# What a translation takes over as it is: calls, constants, commands, numbers.
KEPT = re.compile(
    r"`[^`]+`|\b[A-Za-z_]\w*(?=\(\d?\))|\b(?!BSDs\b)[A-Z]+_?[A-Z0-9]\w+\b|\b\d[\d.,]*\d\b|\b\d\b", re.ASCII
)
#: Words of ours within a source: there the citation has a Korean form too.
PROSE = re.compile(r"\b(measured|itself|reports|tells|compared|winsock2\.h of|ws2tcpip\.h of)\b")


def assert_translated(english: str, korean: str) -> None:
    assert re.search("[가-힣]", korean), english
    assert korean == " ".join(korean.split())
    lost = set(KEPT.findall(english)) - set(KEPT.findall(korean))
    assert not lost, f"{lost} is missing from: {korean}"
    assert english.endswith(".") == korean.endswith(".")


# What lacks its Korean is told by test_drafts.py; here what is there is held to the English.


@pytest.mark.parametrize("entry", Catalogue().codes(), ids=lambda entry: entry.name)
def test_no_text_argues_with_a_paper_that_the_reader_lacks(entry: CodeEntry) -> None:
    """Notes are facts with their sources."""
    texts = [entry.berkeley or "", entry.tcpip or "", entry.ko.berkeley or "", entry.ko.tcpip or ""]
    for note in entry.notes:
        assert note.source
        texts += [note.text, note.source, note.in_("ko").text, note.in_("ko").source]
    for text in (*texts, *entry.developer_hints, *entry.ko.developer_hints):
        assert not re.search(r"1\.1 (?:text|reference)|the (?:reference|text)\b|참고 문서|1\.1 문서", text), text


@pytest.mark.parametrize("name", sorted(Catalogue().numbers))
def test_a_codes_texts_say_the_same_in_korean(catalogue: Catalogue, name: str) -> None:
    entry = catalogue.code(name)
    pairs = [(entry.berkeley, entry.ko.berkeley), (entry.tcpip, entry.ko.tcpip)]
    assert len(entry.ko.developer_hints) <= len(entry.developer_hints)
    if len(entry.ko.developer_hints) == len(entry.developer_hints):
        pairs += zip(entry.developer_hints, entry.ko.developer_hints, strict=True)
    for note in entry.notes:
        if note.ko is not None:
            pairs.append((note.text, note.ko.text))
            assert note.ko.source or not PROSE.search(note.source)
            if PROSE.search(note.source):
                pairs.append((note.source, note.ko.source))
    for english, korean in pairs:
        assert english is not None or korean is None
        if english and korean:
            assert_translated(english, korean)


@pytest.mark.parametrize("code", codes())
def test_what_can_be_reproduced_says_the_same_in_korean(catalogue: Catalogue, code: str) -> None:
    for entry in catalogue.claims(code).values():
        for english, korean in ((entry.state, entry.ko.state), (entry.note, entry.ko.note)):
            assert english or not korean
            if korean:
                assert_translated(english, korean)
    known = catalogue.reproduce
    assert known.ko.impossible.keys() <= known.impossible.keys()
    if code in known.ko.impossible:
        assert_translated(known.impossible[code], known.ko.impossible[code])


def test_a_probe_is_described_in_korean(catalogue: Catalogue) -> None:
    described = catalogue.probes("ko")
    assert described.keys() <= TABLE.keys()
    for text in described.values():
        assert re.search("[가-힣].*\\.$", text)
    assert catalogue.probes("en") == {}


def test_a_page_in_korean_is_korean_throughout_and_fits_the_screen(catalogue: Catalogue) -> None:
    """What is left of English are names, commands, and the titles of sources."""
    drafts = {line.partition(".")[0].partition("-")[2] for line in untranslated(FOLDER)}
    for name in catalogue.numbers.keys() - drafts:
        shown = reproducible(catalogue.code(name).alias_of or name, "ko")
        page = code_page(name, catalogue, "ko", Style(width=10_000), shown)
        bare = re.sub(r"`[^`]+`|\(출처: .*\)$|^(발생 함수|그 밖의 함수) .*", "", page, flags=re.MULTILINE)
        assert not re.search(r"([A-Za-z]{2,} ){3,}[a-z]{2,}", bare), name
        lines = code_page(name, catalogue, "ko", Style(), shown).splitlines()
        assert max(map(width, lines)) <= 80, name


def test_where_korean_is_missing_english_stands(folder: Path) -> None:
    path = folder / REFUSED
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r'(?m)^(tcpip|ko\.source) = "[^"]*[가-힣][^"]*"\n', "", text), encoding="utf-8")
    entry = Catalogue(folder).code("WSAECONNREFUSED")
    assert entry.text("ko").tcpip == entry.tcpip
    assert entry.text("ko").berkeley != entry.berkeley
    assert entry.notes[0].in_("ko").source == entry.notes[0].source
    assert entry.notes[0].in_("ko").text != entry.notes[0].text
    assert entry.text("en").developer_hints == entry.developer_hints
    # a hint that was added in English only: half a list would say less than the whole
    path.write_text(text.replace("developer_hints = [\n", 'developer_hints = [\n  "One more.",\n', 1), encoding="utf-8")
    longer = Catalogue(folder).code("WSAECONNREFUSED")
    assert longer.text("ko").developer_hints == longer.developer_hints
    path.write_text(re.sub(r"(?ms)^\[ko\]\n.*?^\]\n", "", text), encoding="utf-8")
    assert Catalogue(folder).code("WSAECONNREFUSED").text("ko") == entry.text("en")


# -- POSIX numbers ---------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="the numbers of Linux can be compared on Linux only")
def test_linux_numbers_are_those_of_this_system(catalogue: Catalogue) -> None:
    ours = {name: entry.linux for name, entry in catalogue.posix.items() if entry.linux is not None}
    system = {name: getattr(socket if name.startswith("EAI_") else errno, name, None) for name in ours}
    assert ours == system
    missing = {name for name, entry in catalogue.posix.items() if entry.linux is None}
    assert not {name for name in missing if hasattr(errno, name) or hasattr(socket, name)}


def test_every_twin_leads_there_and_back(catalogue: Catalogue) -> None:
    for name, entry in catalogue.posix.items():
        assert entry.winsock in catalogue.numbers, name
    for code in catalogue.codes():
        if code.posix is not None:
            assert catalogue.posix[code.posix].winsock == code.name


def test_bsd_numbers_are_winsocks_own_less_ten_thousand(catalogue: Catalogue) -> None:
    """Winsock took the numbers from 4.3BSD, and Darwin kept those as well; EOPNOTSUPP was renumbered by Darwin."""
    for name, entry in catalogue.posix.items():
        number = catalogue.numbers[entry.winsock]
        if entry.winsock == f"WSA{name}" and name != "EOPNOTSUPP":
            assert entry.macos == number - 10000, name
    assert catalogue.posix["EOPNOTSUPP"].macos == 102
    assert catalogue.posix["ECONNREFUSED"].windows == 107


def test_names_of_getaddrinfo_are_winsock_codes_on_windows(catalogue: Catalogue) -> None:
    """ws2tcpip.h defines them so; it makes EAI_NODATA the same as EAI_NONAME."""
    for name, entry in catalogue.posix.items():
        if name.startswith("EAI_") and entry.windows is not None and name != "EAI_NODATA":
            assert entry.windows == catalogue.numbers[entry.winsock], name
    assert catalogue.posix["EAI_NODATA"].windows == catalogue.posix["EAI_NONAME"].windows == 11001


# -- services --------------------------------------------------------------------------------------------------


def test_services_are_found_by_one_name_and_one_scheme_each(catalogue: Catalogue) -> None:
    names = [name for main, entry in catalogue.services.items() for name in (main, *entry.aliases)]
    schemes = [scheme for entry in catalogue.services.values() for scheme in entry.schemes]
    assert len(names) == len(set(names))
    assert len(schemes) == len(set(schemes))
    wanted = """http https ftp ftps ssh sftp ws wss ldap ldaps redis mysql postgres postgresql mongodb amqp amqps mqtt
        mqtts imap imaps pop3 pop3s smtp smtps smb rdp vnc telnet dns ntp tftp snmp syslog sip nfs rsync git svn"""
    assert set(wanted.split()) <= set(schemes)
    assert all(0 < entry.port < 65536 for entry in catalogue.services.values())


def test_ports_agree_with_the_services_file_of_this_system(catalogue: Catalogue) -> None:
    compared = 0
    for main, entry in catalogue.services.items():
        for name in (main, *entry.aliases):
            try:
                port = socket.getservbyname(name, entry.transport)
            except OSError:
                continue
            compared += 1
            assert port == entry.port, name
    if not compared:
        pytest.skip("this system has no services file")


def test_who_speaks_first(catalogue: Catalogue) -> None:
    first = {name for name, entry in catalogue.services.items() if entry.speaks_first}
    assert {"ftp", "ssh", "smtp", "pop3", "imap", "mysql", "vnc", "nntp", "smtps", "imaps", "telnet"} <= first
    assert not {"http", "https", "irc", "postgresql", "redis", "rdp", "ldap", "dns", "sip"} & first
    assert not any(entry.transport == "udp" for entry in catalogue.services.values() if entry.speaks_first)


def test_questions_are_datagrams_of_their_protocol(catalogue: Catalogue) -> None:
    asked = {name: bytes.fromhex(e.question_hex) for name, e in catalogue.services.items() if e.question_hex}
    assert set(asked) == {"dns", "ntp"}
    assert all(catalogue.services[name].transport == "udp" for name in asked)
    message = dns.message.from_wire(asked["dns"])
    assert message.flags == dns.flags.RD
    assert [(q.name.to_text(), q.rdtype) for q in message.question] == [(".", dns.rdatatype.NS)]
    # RFC 5905: no leap warning, version 4, mode 3, then 47 octets of zero
    assert asked["ntp"] == bytes([0 << 6 | 4 << 3 | 3]) + bytes(47)


# -- the schema check ------------------------------------------------------------------------------------------

REFUSED = "codes/10061-WSAECONNREFUSED.toml"


def load_everything(catalogue: Catalogue) -> None:
    for name in catalogue.numbers:
        catalogue.checklist(name)
    assert catalogue.codes()
    assert catalogue.posix
    assert catalogue.steps
    assert catalogue.causes
    assert catalogue.services


def test_a_copy_loads(folder: Path) -> None:
    load_everything(Catalogue(folder))


@pytest.mark.parametrize(
    ("file", "old", "new", "complaint"),
    [
        pytest.param(REFUSED, "number = 10061", 'number = "10061"', "number: expected int, got str", id="wrong type"),
        pytest.param(
            REFUSED, 'kind = "network"', "", "required field kind; the keys are number, name", id="missing key"
        ),
        pytest.param(
            REFUSED, "number = 10061", "number = 10061\ncolour = 1", "unknown field colour; the", id="unknown"
        ),
        pytest.param(
            REFUSED, '"network"', '"netwrok"', "kind: .*netwrok.*; one of .*name-service.*, network", id="no such kind"
        ),
        pytest.param(REFUSED, "[title]", "[title", "not TOML: .*line", id="not TOML"),
        pytest.param(
            REFUSED, "number = 10061", "number = 10062", "name: .* 10062-WSAECONNREFUSED.toml", id="file name"
        ),
        pytest.param(
            REFUSED,
            '"hosts-file"',
            '"host-file"',
            "checklist: no step .* host-file; did you mean hosts-file",
            id="step",
        ),
        pytest.param(
            REFUSED,
            'step = "hosts-file"',
            'inherit = "WSAECONABORTED"',
            "checklist: no code .* WSAECONABORTED; did you mean WSAECONNABORTED",
            id="inherits from nobody",
        ),
        pytest.param(
            REFUSED, 'step = "hosts-file"', 'inherit = "WSAECONNREFUSED"', "checklist: inherits itself", id="circle"
        ),
        pytest.param(
            REFUSED, 'step = "hosts-file"', "", "checklist: each line holds either step or inherit", id="empty line"
        ),
        pytest.param(
            REFUSED,
            'step = "hosts-file"',
            'stp = "hosts-file"',
            r"checklist\[\d\]: .*unknown field stp; the keys are step, inherit",
            id="misspelt key of a line",
        ),
        pytest.param(
            "steps.toml", '"resolve-name"', '"resolve-nam"', "no step .*; did you mean resolve-name", id="added"
        ),
        pytest.param(
            "causes/no-listener.toml", '"remote-host"', '"remote"', r"scopes\[0\]: .*; one of .*remote-host", id="scope"
        ),
        pytest.param(
            "causes/no-listener.toml",
            "[ko.summary]",
            "[ko.sumary]",
            "ko: .*unknown field sumary; the keys are title",
            id="misspelt table",
        ),
        pytest.param(
            "causes/no-listener.toml", 'id = "no-listener"', 'id = "none"', "id: .* none.toml", id="cause's file name"
        ),
        pytest.param(
            "steps.toml",
            'en = "Trace the route", ',
            "",
            r"traceroute\.title: .* en; the keys are en, ko",
            id="language",
        ),
        pytest.param("posix.toml", "linux = 111", 'linux = "111"', r"ECONNREFUSED\.linux: expected int", id="posix"),
        pytest.param("services.toml", "port = 990", "port = true", r"ftps\.port: expected int, got bool", id="port"),
        pytest.param(
            "services.toml", 'transport = "udp"', 'transport = "sctp"', "transport: .*; one of tcp, udp", id="transport"
        ),
    ],
)
def test_a_broken_file_is_named_with_the_key_and_what_would_fit(
    folder: Path, file: str, old: str, new: str, complaint: str
) -> None:
    path = folder / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(CatalogueError, match=f"^{re.escape(path.name)}: .*{complaint}"):
        load_everything(Catalogue(folder))


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "posix.toml").unlink()
    with pytest.raises(CatalogueError, match=r"^posix\.toml: cannot be read"):
        load_everything(Catalogue(folder))
