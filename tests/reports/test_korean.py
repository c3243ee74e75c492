"""What a user who asked for Korean reads: no English sentence is left, and JSON keeps the words of its contract."""

from __future__ import annotations

import json
import re

import pytest

from probes.address import AddressKind
from tests.reports.test_command_line import wsadiag
from troubleshoot.knowledge.catalogue import Catalogue
from troubleshoot.knowledge.text import read_back, worded
from troubleshoot.render.layout import cells
from troubleshoot.render.reproduce import render
from troubleshoot.reproduce.claims import Claim, claims, codes, said_of
from troubleshoot.reproduce.records import Reproduction

HANGUL = re.compile("[가-힣]")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["explain"], "CODE 인수가 없습니다"),
        (["replay"], "REPORT.json 인수가 없습니다"),
        (["10061", "host:21", "--nosuch"], "--nosuch: 그런 옵션은 없습니다"),
        (["10061", "host:21", "--jsonn"], "비슷한 것은 --json"),
        (["10061", "host:21", "more", "words"], "한 단어가 아닙니다"),
        (["10061", "host:21", "--timeout"], "--timeout 옵션에는 값이 필요합니다"),
        (["10061", "host:21", "--json=yes"], "--json 옵션에는 값을 줄 수 없습니다"),
    ],
)
def test_a_complaint_of_the_parser_is_in_korean(words: list[str], said: str) -> None:
    done = wsadiag("--lang", "ko", *words)
    assert done.returncode == 2
    assert said in done.stderr


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"nothing", "JSON이 아닙니다"),
        (b"{}", "보고서가 아닙니다"),
    ],
)
def test_a_complaint_about_a_file_is_in_korean(data: bytes, said: str) -> None:
    done = wsadiag("replay", "--lang", "ko", "-", stdin=data)
    assert done.returncode == 2
    assert said in done.stderr


def test_what_to_look_at_in_the_program_is_in_korean() -> None:
    report = json.loads(wsadiag("--lang", "ko", "--json", "10042", "127.0.0.1:80").stdout)
    hints = Catalogue().code("WSAENOPROTOOPT").text("ko").developer_hints
    assert report["verdict"]["cause"] == "api-misuse"
    assert report["verdict"]["actions"][: len(hints)] == [f"프로그램에서 확인할 것: {hint}" for hint in hints]


def test_the_list_of_probes_is_in_korean_and_json_stays_english() -> None:
    lines = wsadiag("probe", "--lang", "ko").stdout.splitlines()
    assert all(HANGUL.search(line) or line.startswith(" ") for line in lines)
    assert max(map(cells, lines)) <= 80
    listed = json.loads(wsadiag("probe", "--lang", "ko", "--json").stdout)["probes"]
    assert not any(HANGUL.search(probe["about"]) for probe in listed)


def test_json_of_a_code_is_english_but_for_titles_and_meaning() -> None:
    english, korean = (
        json.loads(wsadiag("explain", "10057", "--json", "--lang", language).stdout) for language in ("en", "ko")
    )
    differing = {key for key in english if english[key] != korean[key]}
    assert differing == {"title", "meaning", "checklist", "user"}


def reproduced(claim: Claim, remark: str) -> Reproduction:
    return Reproduction(
        code=claim.code,
        claim=claim,
        calls=(),
        observed=claim.errno if remark == claim.note else None,
        expected_winsock=claim.winsock,
        matches=True,
        shows_code=False,
        same_as_winsock=False,
        remark=remark,
        isolated=True,
    )


@pytest.mark.parametrize("code", codes())
def test_a_reproduction_is_told_in_korean(code: str) -> None:
    for claim in claims(code):
        text = render([reproduced(claim, claim.note)], "ko")
        assert max(map(cells, text.splitlines())) <= 80
        assert not re.search(r"([A-Za-z]{2,} ){3,}[a-z]{2,}", text), text
        assert claim.state in " ".join(render([reproduced(claim, claim.note)], "en").split())


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (
            "it needs a network of its own, which cannot be had here (unshare: Operation not permitted)",
            "별도의 네트워크가 필요한데 여기서는 만들 수 없습니다(unshare: Operation not permitted).",
        ),
        ("it did not end within 15 s", "15초 안에 끝나지 않았습니다."),
        ("some new reason", "some new reason"),
    ],
)
def test_why_a_claim_was_not_tried_is_told_in_korean(reason: str, said: str) -> None:
    claim = claims("WSAENETUNREACH")[0]
    state, remark = said_of(reproduced(claim, reason), "ko")
    assert HANGUL.search(state)
    assert remark == said
    assert said_of(reproduced(claim, reason), "en") == (claim.state, reason)


@pytest.mark.parametrize("kind", [*AddressKind, "link-local without %interface", "port 0"])
def test_the_kind_of_an_address_is_in_korean(kind: str) -> None:
    korean, english = (Catalogue().wording(language) for language in ("ko", "en"))
    assert HANGUL.search(worded({"kind": kind}, korean)["kind"])
    assert worded({"kind": kind}, english) == {"kind": kind}
    assert worded({"kind": "blackhole", "name": kind}, korean) == {"kind": "blackhole", "name": kind}


def test_a_sentence_gives_its_values_back() -> None:
    assert read_back("port 21 (tcp)", "port {port} ({transport})") == {"port": "21", "transport": "tcp"}
    assert read_back("two\nlines", "{text}") == {"text": "two\nlines"}
    assert read_back("no place", "no place") == {}
    assert read_back("port 21", "port {port}!") is None
    assert read_back("port ", "port {port}") is None
