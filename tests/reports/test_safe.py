"""What reaches a terminal: no control, no invisible letter, and lines of the width they claim."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troubleshoot.render.layout import cells, cut, pad, wrap
from troubleshoot.render.safe import safe

ANY = st.text(st.characters(exclude_categories=()))


@given(ANY)
def test_everything_that_comes_out_is_visible_writing(text: str) -> None:
    shown = safe(text)
    assert shown.isprintable()
    shown.encode()
    assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") for c in shown)


@given(ANY)
def test_safe_twice_is_safe_once(text: str) -> None:
    assert safe(safe(text)) == safe(text)


@pytest.mark.parametrize("text", ["plain", "bücher", "한국어 이름", "日本", "back\\slash", "a b", "naïve ✓ …"])
def test_honest_writing_is_left_alone(text: str) -> None:
    assert safe(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31m", "\\x1b[31m"),
        ("\x9b31m", "\\x9b31m"),
        ("a\r\nb", "a\\x0d\\x0ab"),
        ("\x7f", "\\x7f"),
        ("\u202eexe.txt", "\\u202eexe.txt"),
        ("pay\u200bpal", "pay\\u200bpal"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("\u3164", "\\u3164"),
        ("\ufe0f", "\\ufe0f"),
    ],
)
def test_hostile_letters_are_named(text: str, shown: str) -> None:
    assert safe(text) == shown


@pytest.mark.parametrize(("text", "width"), [("abc", 3), ("한국", 4), ("e\u0301", 1), ("ｶ", 1), ("\uff21", 2), ("", 0)])
def test_cells_are_counted_as_terminals_do(text: str, width: int) -> None:
    assert cells(text) == width
    assert cells(pad(text, 10)) == 10


@given(st.text(alphabet="ab 한글 e\u0301xyz", max_size=200), st.integers(20, 80), st.integers(0, 10))
def test_wrapping_keeps_the_width_and_the_words(text: str, width: int, indent: int) -> None:
    lines = wrap(text, width, " " * indent)
    assert all(cells(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


@given(st.text(alphabet="ab한글", max_size=50), st.integers(1, 40))
def test_cutting_keeps_the_width(text: str, width: int) -> None:
    assert cells(cut(text, width)) <= width
    assert cut(text, 100) == text
