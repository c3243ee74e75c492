"""Texts that people paste: which code they mean, where to, and what they do not mean."""

from __future__ import annotations

import random
import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from troubleshoot.intake.caller import caller_system
from troubleshoot.intake.codes import parse_code
from troubleshoot.intake.ends import ended_by
from troubleshoot.intake.evidence import line_of
from troubleshoot.intake.places import places
from troubleshoot.intake.target import parse_target
from troubleshoot.intake.texts import LONGEST, Reading, read_text
from troubleshoot.knowledge.catalogue import LANGUAGES, Catalogue
from troubleshoot.knowledge.kinds import System
from troubleshoot.knowledge.text import Refusal, say

CATALOGUE = Catalogue()
SENTENCES = [
    (code, sayer, sentence)
    for code, sayers in CATALOGUE.sentences.items()
    for sayer, sentences in sayers.items()
    for sentence in sentences
]


def read(text: str, system: System | None = None) -> Reading:
    return read_text(text, CATALOGUE, system)


# -- the catalogue's own examples -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CATALOGUE.ends)
def test_what_ended_a_connection(name: str) -> None:
    """Its example is known, and by nothing else; what stands around it changes nothing."""
    entry = CATALOGUE.ends[name]
    assert ended_by(entry.example, CATALOGUE) == entry.by
    assert ended_by(f"one moment\n{entry.example}\nbye\n", CATALOGUE) == entry.by
    assert all(word == word.lower() for word in entry.has)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "curl: (7) Failed to connect to 192.0.2.5 port 503: Connection refused",
        "tests passed: 503, skipped: 429",
        'connection to server at "192.0.2.5", port 5432 failed: SSL error: certificate verify failed',
        "ERROR 2026 (HY000): TLS/SSL error: self-signed certificate",
        "certificate written to server.pem",
    ],
)
def test_what_ended_no_connection(text: str) -> None:
    """Nor is a certificate told of that only a STARTTLS brings."""
    assert ended_by(text, CATALOGUE) is None


@pytest.mark.parametrize("name", CATALOGUE.texts)
def test_an_example_is_read_as_it_says(name: str) -> None:
    entry = CATALOGUE.texts[name]
    found = read(entry.example)
    codes = {one.code for one in found.candidates}
    wanted = {word for word in entry.reads if word in CATALOGUE.numbers}
    assert wanted <= codes
    if wanted and entry.sure != "open":
        assert found.clear
        assert found.code in wanted
    if not wanted:
        assert codes == set()
    places_ = [word for word in entry.reads if word not in CATALOGUE.numbers]
    assert [found.target] == (places_ or [found.target])
    if entry.system is not None:
        assert found.caller_system == entry.system


@pytest.mark.parametrize("name", CATALOGUE.places)
def test_a_place_is_read_as_it_says(name: str) -> None:
    entry = CATALOGUE.places[name]
    found = read(entry.example)
    assert found.target == (entry.reads or None) or (not entry.reads and entry.rank < 0 and found.target is not None)
    if entry.rank < 0:
        kept = {one.target for one in places([line_of(0, entry.example)], CATALOGUE)}
        hidden = re.findall(r"\d+\.\d+\.\d+\.\d+|https?://\S+?(?=[)\s]|$)", entry.example)
        assert not kept.intersection(hidden)


@pytest.mark.parametrize(("code", "sayer", "sentence"), SENTENCES)
def test_a_sentence_alone_is_its_code(code: str, sayer: str, sentence: str) -> None:
    text = f"connect: {sentence}" if sayer == "vague" else f"Error: {sentence.capitalize()}."
    found = read(text)
    assert found.code == code
    assert found.clear
    if sayer in {"windows", "ko", "de", "fr", "es", "zh", "ja"}:
        assert found.caller_system == "windows"


def test_every_described_code_has_a_sentence_of_windows() -> None:
    lacking = {
        entry.name
        for entry in CATALOGUE.codes()
        if not entry.sentences and entry.alias_of is None and entry.number > 10000
    }
    # Other codes with the same meaning, for which Windows says the same.
    assert lacking == {"WSA_E_NO_MORE", "WSA_E_CANCELLED"}


@pytest.mark.parametrize("name", CATALOGUE.texts)
def test_patterns_are_bounded(name: str) -> None:
    """No repetition without a bound but of single characters, none within another: time is linear in the text."""
    pattern = CATALOGUE.texts[name].pattern
    assert not re.search(r"(?<!\\)[*+]", re.sub(r"\[[^]]*\]", "", pattern)), pattern


@pytest.mark.parametrize("name", CATALOGUE.places)
def test_patterns_of_places_are_bounded(name: str) -> None:
    pattern = CATALOGUE.places[name].pattern
    found = re.findall(r"(?<!\\)[*+]", re.sub(r"\[[^]]*\]", "", pattern))
    single = re.findall(r"\\s[*+]", pattern)
    assert len(found) == len(single), pattern


# -- which code -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Connect call failed, errno 111", "WSAECONNREFUSED"),
        ("the client gets a 10054 from the server", "WSAECONNRESET"),
        ("Run-time error '10061'", "WSAECONNREFUSED"),
        ("Socket Error # 10060\nConnection timed out.", "WSAETIMEDOUT"),
        ("Error: 0x80072EE7", "WSAHOST_NOT_FOUND"),
        ("Fehler 10054", "WSAECONNRESET"),
        ("오류 10060", "WSAETIMEDOUT"),
        ("write tcp 192.0.2.1:5000->192.0.2.2:80: write: broken pipe", "WSAECONNABORTED"),
        (
            "ConnectionError: ('Connection aborted.', ConnectionResetError(104, 'Connection reset by peer'))",
            "WSAECONNRESET",
        ),
        ("ssh: Could not resolve hostname a.example: Temporary failure in name resolution", "WSATRY_AGAIN"),
        ("远 程主机强迫关闭了一个现有的连接", "WSAECONNRESET"),
        (
            "Aucune connexion n\u2019a pu être établie car l\u2019ordinateur cible l\u2019a expressément refusée",
            "WSAECONNREFUSED",
        ),
        ("errno=Network is\n  unreachable", "WSAENETUNREACH"),
        ('{"error":"connect ECONNREFUSED 192.0.2.1:80\\n    at Object"}', "WSAECONNREFUSED"),
    ],
)
def test_a_text_means_its_code(text: str, code: str) -> None:
    found = read(text)
    assert found.clear
    assert found.code == code
    assert parse_code(text, CATALOGUE) == code


@pytest.mark.parametrize(
    "text",
    [
        "Listening on port 10060",
        "connected to 192.0.2.1:10061 after 10054 ms",
        "took 10060 ms, pid 10054, line 10061",
        "http://a.example:10061/10060",
        "waiting for 20 seconds",
        "git@a.example: Permission denied (publickey).",
        "exit code 104",
        "everything is fine",
        "(provider: TCP Provider, error: 35 - An internal exception was caught)",
        "MQTT connection refused: not authorised",
        "curl: (52) Empty reply from server",
    ],
)
def test_what_is_no_error_gives_no_code(text: str) -> None:
    found = read(text)
    assert found.code is None or not found.clear
    with pytest.raises(Refusal):
        parse_code(text, CATALOGUE)


PASTED = [
    line.split("\t")
    for line in (Path(__file__).parents[1] / "data/pasted.tsv").read_text(encoding="utf-8").splitlines()[1:]
]


@pytest.mark.parametrize(("text", "code", "target"), PASTED)
def test_what_programs_print_is_read(text: str, code: str, target: str) -> None:
    """Messages of some hundred programs, each as it is printed; some name no code or no target."""
    written = re.sub(r"\\(.)", lambda found: {"n": "\n", "t": "\t", "r": "\r"}.get(found[1], found[1]), text)
    found = read(written)
    assert (found.code if found.clear else None) == (code or None)
    assert found.target == target or not target


def test_several_codes_are_listed_best_first_with_their_lines() -> None:
    found = read("first: connection refused\nthen: no route to host")
    assert not found.clear
    assert {one.code: one.line for one in found.candidates} == {
        "WSAECONNREFUSED": "first: connection refused",
        "WSAEHOSTUNREACH": "then: no route to host",
    }
    with pytest.raises(Refusal) as caught:
        parse_code("first: connection refused\nthen: no route to host", CATALOGUE)
    for language in LANGUAGES:
        assert "10065" in say(caught.value, CATALOGUE.wording(language))
    assert "then: no route" in str(caught.value)


def test_what_is_said_more_surely_comes_first() -> None:
    found = read("curl: (7) Failed to connect to a.example port 80: No route to host")
    assert [one.code for one in found.candidates][:1] == ["WSAEHOSTUNREACH"]
    assert found.clear
    assert len(found.candidates) > 1


def test_whose_a_number_is_decides_where_it_is_told() -> None:
    assert read("connect error: 54", "macos").code == "WSAECONNRESET"
    assert read("connect error: 54", "linux").code is None


@pytest.mark.parametrize(
    ("text", "system"),
    [
        ("[WinError 10061] x", "windows"),
        ("0x80072EFD", "windows"),
        ("connect: Connection refused (111)", "linux"),
        ("Error 61 connecting to a.example:6379", "macos"),
        ("nodename nor servname provided, or not known", "macos"),
        ("Error: connect ECONNREFUSED 192.0.2.1:80", None),
        ("Error: connect ECONNREFUSED 192.0.2.1:80 at C:\\app\\index.js", "windows"),
        ("Connection refused\n  at /Users/me/x.js", "macos"),
    ],
)
def test_a_text_tells_its_system(text: str, system: System | None) -> None:
    assert read(text).caller_system == system
    assert caller_system(text, CATALOGUE) == system


# -- where to -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("connect to a.example[192.0.2.1]:25: Connection refused", "192.0.2.1:25"),
        ("to=<x@a.example> (connect to a.example[192.0.2.1]:25: Connection refused)", "a.example:25"),
        ('server at "localhost" (127.0.0.1), port 5432 failed', "localhost:5432"),
        ("read tcp 192.0.2.1:50000->[2001:db8::2]:443: read: connection reset by peer", "[2001:db8::2]:443"),
        (
            'connect() failed (111: Connection refused), client: 192.0.2.9, upstream: "http://192.0.2.2:80/"',
            "192.0.2.2:80",
        ),
        ("client 192.0.2.9 said nothing at 11:38:36", "192.0.2.9"),
        ("at util.js:1026:11", None),
        ("Npgsql.cs:line 12", None),
        ("connecting to https://me:geheim@a.example/x?token=geheim: timed out", "https://a.example/x"),
        ("\\\\nas.example\\daten ist nicht erreichbar", "nas.example:445"),
        ("C:\\\\xampp\\\\htdocs", None),
        ("cannot open unix:/run/x.sock", "unix:/run/x.sock"),
    ],
)
def test_a_text_says_where_to(text: str, target: str | None) -> None:
    found = read(text).target
    if found is not None and "://" in found:
        found = parse_target(found, CATALOGUE).input
    assert found == target


# -- hostile texts --------------------------------------------------------------------------------------------------


def test_no_secret_is_shown_of_a_text() -> None:
    found = read("psql postgres://me:geheim@a.example/x password=geheim: Connection refused")
    assert "geheim" not in "".join(one.line for one in found.candidates)
    with pytest.raises(Refusal) as caught:
        parse_code("Connection refused password=geheim\nno route to host", CATALOGUE)
    assert "geheim" not in str(caught.value)


PIECES = [
    *(word for entry in (*CATALOGUE.texts.values(), *CATALOGUE.places.values()) for word in entry.has),
    *(
        "192.0.2.1",
        "a.example",
        "[::1]",
        ":443",
        "(",
        ")",
        '"',
        "'",
        "://",
        "/",
        "\\\\",
        " ",
        "port ",
        "host ",
        "111",
        "10061",
    ),
    *("0x", "\n", "error ", "connect to ", "::", "->", "@", "=", "%"),
]


@pytest.mark.parametrize("seed", range(6))
def test_hostile_texts_take_no_time(seed: int) -> None:
    """Pieces of what is looked for, repeated and shuffled, as long as a text may be."""
    chance = random.Random(seed)
    few = chance.sample(PIECES, 3 if seed % 2 else 40)
    text = "".join(chance.choice(few) for _ in range(LONGEST))[:LONGEST]
    read("warm up")
    started = time.process_time()
    read(text)
    assert time.process_time() - started < 20


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(max_size=200), st.lists(st.sampled_from(PIECES), max_size=30).map("".join)))
def test_any_text_is_read(text: str) -> None:
    found = read(text)
    assert found.clear <= (found.code is not None)
    for target in found.targets:
        if not target.startswith("unix:"):
            parse_target(target, CATALOGUE)
    assert all(one.code in CATALOGUE.numbers for one in found.candidates)
