"""Sentences: filled by name only, the same places in both languages, and none missing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.base import note
from troubleshoot.knowledge.catalogue import LANGUAGES, Catalogue
from troubleshoot.knowledge.text import Refusal, fill, places, preferred_language, say

CATALOGUE = Catalogue()
SOURCES = sorted((Path(__file__).parents[2] / "troubleshoot").rglob("*.py"))
KEYS = sorted({key for language in LANGUAGES for key in CATALOGUE.wording(language)})


@pytest.mark.parametrize("key", [key for key in KEYS if key.startswith(("ui.", "usage."))])
def test_a_sentence_stands_in_both_languages_with_the_same_places(key: str) -> None:
    english, korean = (CATALOGUE.wording(language) for language in LANGUAGES)
    assert key in english
    assert key in korean
    assert places(english[key]) == places(korean[key])


def test_every_key_that_the_program_names_exists() -> None:
    named = {
        key
        for source in SOURCES
        for key in re.findall(r'"((?:ui|usage)\.[a-z0-9-]+)"', source.read_text(encoding="utf-8"))
    }
    assert len(named) > 30
    assert named - set(KEYS) == set()


def test_every_label_that_the_renderers_name_exists() -> None:
    named = {
        f"ui.{key}"
        for source in SOURCES
        if source.parent.name == "render"
        for key in re.findall(r"(?:\bui[\[(]|_say\()\"([a-z-]+)\"", source.read_text(encoding="utf-8"))
    }
    assert len(named) > 15
    assert named - set(KEYS) == set()


def test_a_missing_sentence_or_value_stays_visible() -> None:
    assert say(note("fact.none-such"), {}) == "<fact.none-such>"
    assert say(note("a.b", port=21), {"a.b": "{port} of {host}"}) == "21 of <host>"


def test_values_are_text_and_nothing_more() -> None:
    wording = {"a.b": "{x} {x!r} {x.__class__} {x:>99999} {0} {{x}}"}
    assert say(note("a.b", x="{y}"), wording) == "{y} {x!r} {x.__class__} {x:>99999} {0} {x}"


@given(st.text(), st.dictionaries(st.from_regex(r"[a-z]{1,3}", fullmatch=True), st.text()))
def test_filling_never_fails(sentence: str, values: dict[str, str]) -> None:
    fill(sentence, values)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        # as written: 을/를, 이/가, 은/는, 과/와, 으로/로
        ("서버", "서버를 서버가 서버는 서버와 서버로"),
        ("라우터", "라우터를 라우터가 라우터는 라우터와 라우터로"),
        ("방화벽", "방화벽을 방화벽이 방화벽은 방화벽과 방화벽으로"),
        ("서울", "서울을 서울이 서울은 서울과 서울로"),
        ("192.0.2.1", "192.0.2.1을 192.0.2.1이 192.0.2.1은 192.0.2.1과 192.0.2.1로"),
        ("::2", "::2를 ::2가 ::2는 ::2와 ::2로"),
        ("10.0.0.3", "10.0.0.3을 10.0.0.3이 10.0.0.3은 10.0.0.3과 10.0.0.3으로"),
        ("255", "255를 255가 255는 255와 255로"),
        ("6", "6을 6이 6은 6과 6으로"),
        ("7", "7을 7이 7은 7과 7로"),
        ("host:8080", "host:8080을 host:8080이 host:8080은 host:8080과 host:8080으로"),
        ("1.8", "1.8을 1.8이 1.8은 1.8과 1.8로"),
        ("서버2", "서버2를 서버2가 서버2는 서버2와 서버2로"),
        ("0", "0을 0이 0은 0과 0으로"),
        # 만 and 억 end in a consonant, 조 does not
        ("100000000", "100000000을 100000000이 100000000은 100000000과 100000000으로"),
        *(
            (word, f"{word}을(를) {word}이(가) {word}은(는) {word}와(과) {word}(으)로")
            for word in (
                "example.com", "eth0", "IPv6", "fd00::a1", "nginx (pid 4711)", "", "ㄱ", "٣", "서버 ", "1000000000000",
                "1\n",
            )
        ),
    ],
)  # fmt: skip
def test_a_korean_particle_is_the_one_that_fits(value: str, said: str) -> None:
    assert fill("{x}을(를) {x}이(가) {x}은(는) {x}와(과) {x}(으)로", {"x": value}) == said


def test_a_korean_particle_elsewhere_is_left_alone() -> None:
    assert fill("{x}에서 {y}은(는)", {"x": "1이(가)"}) == "1이(가)에서 <y>은(는)"
    assert fill("{{x}}이(가) {x}(으)로는 4을(를)", {"x": "4"}) == "{x}이(가) 4로는 4을(를)"
    assert places("{x}이(가) {y}을(를) {{z}}") == {"x", "y"}


def test_a_refusal_reads_as_a_sentence() -> None:
    assert str(Refusal("usage.option-pid", value="x")) == (
        "--pid x does not fit; the number of a process would, such as 4711"
    )


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "ko_KR.UTF-8"}, "ko"),
        ({"LANG": "ko_KR.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "C", "LC_MESSAGES": "ko"}, "ko"),
        ({"LANG": "ko_KR.UTF-8", "LC_ALL": ""}, "ko"),
        ({"LANG": "kok_IN"}, "en"),
    ],
)
def test_the_locale_chooses_the_language(environment: dict[str, str], language: str) -> None:
    assert preferred_language(environment) == language


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({"LANGUAGE": "ko:en", "LANG": "en_US.UTF-8"}, "ko"),
        ({"LANGUAGE": "fr:en:ko", "LANG": "ko_KR.UTF-8"}, "en"),
        ({"LANGUAGE": "ko", "LC_ALL": "C.UTF-8"}, "en"),
        ({"LANGUAGE": "ko", "LANG": "POSIX"}, "en"),
        ({"LANGUAGE": "ko"}, "en"),
        ({"LANGUAGE": "fr", "LANG": "ko_KR.UTF-8"}, "ko"),
        ({"LANGUAGE": "", "LANG": "ko_KR.UTF-8"}, "ko"),
    ],
)
def test_the_list_of_languages_comes_before_the_locale(environment: dict[str, str], language: str) -> None:
    assert preferred_language(environment) == language


def test_korean_that_cannot_be_shown_is_told() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "troubleshoot", "codes", "10061", "--lang", "ko"],
        env={**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        encoding="ascii",
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr.count("\n")) == (0, 1)
    assert done.stderr.startswith("wsadiag: --lang ko: ")
    assert "Connection refused" in done.stdout
