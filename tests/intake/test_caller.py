"""Which system a code was met on, by the form in which it was brought."""

from __future__ import annotations

import pytest

from troubleshoot.intake.caller import caller_system
from troubleshoot.knowledge.catalogue import Catalogue

CATALOGUE = Catalogue()


@pytest.mark.parametrize("word", ["10061", "0x274D", "0x8007274D", "-2147014835", "wsaeconnrefused", "12029", "11001"])
def test_winsock_is_of_windows(word: str) -> None:
    assert caller_system(word, CATALOGUE) == "windows"


@pytest.mark.parametrize("word", ["ECONNREFUSED", "eai_noname", "111", "13", "banana", ""])
def test_what_every_system_says_tells_nothing(word: str) -> None:
    assert caller_system(word, CATALOGUE) is None


def test_what_was_said_counts() -> None:
    assert caller_system("111", CATALOGUE, "linux") == "linux"
    assert caller_system("10061", CATALOGUE, "macos") == "macos"
