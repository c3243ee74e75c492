"""Sentences: filled by name only, the same places in both languages, and none missing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.base import note
from troubleshoot.catalogue import LANGUAGES, Catalogue
from troubleshoot.text import Refusal, fill, places, preferred_language, say

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
